import type { Call } from "../../config.ts";
import type { Io } from "../commands.ts";
import type { Api } from "./api.ts";
import { apiOf } from "./connect.ts";
import { lookOf } from "./look.ts";
import { resultText } from "./result.ts";
import type { TaskView } from "./shapes.ts";
import { clean, type Look, logLines, taskDetails, taskLine, taskLines } from "./show.ts";
import { wholeId } from "./task-id.ts";

/** What can be done with one task. */
export type TaskAction = "show" | "logs" | "cancel" | "retry";

/** Prints a page of the user's tasks. */
export async function listTasks(call: Call, io: Io): Promise<void> {
  const page = await apiOf(call, io.environment).list({
    status: call.text("status"),
    name: call.text("name"),
    limit: call.count("limit"),
    cursor: call.text("cursor"),
  });
  if (call.on("json")) {
    io.out(JSON.stringify(page));
    return;
  }
  const look = lookOf(process.stdout, io.environment);
  if (process.stdout.isTTY && page.items.length === 0) io.out("no tasks");
  for (const line of process.stdout.isTTY ? taskLines(page.items, look) : page.items.map(tabbed)) io.out(line);
  // A program reads stdout: to it this is no task.
  if (page.next_cursor !== null) (process.stdout.isTTY ? io.out : io.error)(`more: --cursor ${clean(page.next_cursor)}`);
}

function tabbed({ task_id, status, name, progress, created_at }: TaskView): string {
  return [task_id, status, name, progress ?? "", created_at].map((value) => clean(String(value))).join("\t");
}

/** Does one thing with one task, and prints what comes of it. */
export async function doWithTask(action: TaskAction, text: string, call: Call, io: Io): Promise<void> {
  const api = apiOf(call, io.environment);
  const [answer, lines] = await ANSWERS[action](api, await wholeId(api, text));
  const look = lookOf(process.stdout, io.environment);
  for (const line of call.on("json") ? [JSON.stringify(answer)] : lines(look)) io.out(line);
}

/** What the server answers, and how people are shown it. */
type Answer = readonly [answer: unknown, lines: (look: Look) => readonly string[]];

const ANSWERS: Readonly<Record<TaskAction, (api: Api, id: string) => Promise<Answer>>> = {
  async show(api, id) {
    const task = await api.task(id);
    return [task, (look) => [...taskDetails(task, look), ...(task.result === null ? [] : [resultText(task.result, look)])]];
  },
  async logs(api, id) {
    const lines = await api.logs(id);
    return [lines, (look) => logLines(lines, look)];
  },
  cancel: async (api, id) => asLine(await api.cancel(id)),
  retry: async (api, id) => asLine(await api.retry(id)),
};

const asLine = (task: TaskView): Answer => [task, (look) => [taskLine(task, look)]];
