import type { Call } from "../../config.ts";
import type { Io } from "../commands.ts";
import type { Api } from "./api.ts";
import { apiOf } from "./connect.ts";
import { lookOf } from "./look.ts";
import { resultText } from "./result.ts";
import type { TaskView } from "./shapes.ts";
import { clean, fit, type Look, logLines, paint, shortId, taskDetails, taskLine, taskLines } from "./show.ts";
import { wholeId } from "./task-id.ts";

/** What can be done with one task. */
export type TaskAction = "show" | "logs" | "cancel" | "retry";

/** Whose tasks are meant, as the server writes ids; undefined: the user's own. */
const ownerOf = (call: Call): string | undefined => call.text("owner")?.toLowerCase();

/** Prints a page of tasks: the user's, or those of --owner. */
export async function listTasks(call: Call, io: Io): Promise<void> {
  const owner = ownerOf(call);
  const page = await apiOf(call, io.environment).list({
    status: call.text("status"),
    name: call.text("name"),
    limit: call.count("limit"),
    cursor: call.text("cursor"),
    owner,
  });
  if (call.on("json")) {
    io.out(JSON.stringify(page));
    return;
  }
  const look = lookOf(process.stdout, io.environment);
  if (process.stdout.isTTY && page.items.length === 0) io.out("no tasks");
  const mixed = owner === "all";
  for (const line of process.stdout.isTTY ? rows(page.items, look, mixed) : page.items.map((task) => tabbed(task, mixed)))
    io.out(line);
  // A program reads stdout: to it this is no task.
  if (page.next_cursor !== null) (process.stdout.isTTY ? io.out : io.error)(`more: --cursor ${clean(page.next_cursor)}`);
}

/** @param mixed whether they are of several owners, each of which is to be seen */
function rows(tasks: readonly TaskView[], look: Look, mixed: boolean): readonly string[] {
  if (!mixed) return taskLines(tasks, look);
  const ends = tasks.map(({ owner_id }) => `  ${look.words.labels.owner} ${shortId(owner_id)}`);
  const width = Math.max(0, ...ends.map((end) => Bun.stringWidth(end)));
  const lines = taskLines(tasks, { ...look, columns: look.columns - width });
  return lines.map((line, i) => fit(`${line}${paint(ends[i] ?? "", "dim", look)}`, look.columns));
}

function tabbed({ task_id, status, name, progress, created_at, owner_id }: TaskView, mixed: boolean): string {
  const values = [task_id, status, name, progress ?? "", created_at, ...(mixed ? [owner_id] : [])];
  return values.map((value) => clean(String(value))).join("\t");
}

/** Does one thing with one task, and prints what comes of it. */
export async function doWithTask(action: TaskAction, text: string, call: Call, io: Io): Promise<void> {
  const api = apiOf(call, io.environment);
  const [answer, lines] = await ANSWERS[action](api, await wholeId(api, text, ownerOf(call)));
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
