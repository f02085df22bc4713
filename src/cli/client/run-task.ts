import { type Call, UsageError } from "../../config.ts";
import { didYouMean } from "../../domain/closest.ts";
import { ArtelError } from "../../domain/errors.ts";
import type { Io } from "../commands.ts";
import type { SubmittedTask } from "./api.ts";
import { apiOf } from "./connect.ts";
import { ApiError } from "./http.ts";
import { type FieldFlag, inputOf, inputProblem } from "./input.ts";
import { lookOf } from "./look.ts";
import { resultText } from "./result.ts";
import type { Definition, TaskView } from "./shapes.ts";
import { clean, taskLine } from "./show.ts";
import { watch } from "./watch.ts";

export interface Run {
  /** Of the task. */
  readonly name: string;
  readonly fields: readonly FieldFlag[];
  readonly call: Call;
  /** Those that the command takes itself. */
  readonly flags: readonly string[];
}

/**
 * Submits a task, and follows it where that is asked for.
 *
 * @returns the exit code, 0
 * @throws UsageError naming the flag that is wrong; ArtelError where the task failed or was cancelled
 */
export async function runTask({ name, fields, call, flags }: Run, io: Io): Promise<number> {
  const api = apiOf(call, io.environment);
  const base = await baseOf(call.text("input"));
  const definition = named(await api.definitions(), name);
  const input = await inputOf(definition, fields, base, flags);
  const submission = { delay: call.text("delay"), priority: call.text("priority"), idempotencyKey: call.text("idempotencyKey") };
  const submit = (): Promise<SubmittedTask> =>
    api.submit(name, input, submission).catch((error: unknown) => {
      throw refusal(error, fields);
    });
  const json = call.on("json");
  if (!call.on("watch")) {
    const accepted = await submit();
    io.out(json ? JSON.stringify(accepted) : accepted.task_id);
    return 0;
  }
  const task = await watch(api, io, json, async () => {
    const { task_id: id } = await submit();
    if (!json) io.out(id);
    return id;
  });
  show(task, json, io);
  return 0;
}

/** Its result, or why there is none. */
function show(task: TaskView, json: boolean, io: Io): void {
  const look = lookOf(process.stdout, io.environment);
  if (json) io.out(JSON.stringify(task));
  else if (look.columns !== Number.POSITIVE_INFINITY) io.out(taskLine(task, look));
  if (task.status !== "done") throw new ArtelError("task_not_done", endOf(task));
  if (!json && task.result !== null) io.out(resultText(task.result, look));
}

function endOf({ name, task_id, status, error }: TaskView): string {
  if (status === "cancelled") return `${name} ${task_id} was cancelled`;
  return `${name} ${task_id} failed: ${error ? clean(`${error.code}: ${error.message}`) : status}`;
}

/** What --input says: JSON, @FILE, or - for stdin. */
async function baseOf(text: string | undefined): Promise<unknown> {
  if (text === undefined) return undefined;
  const json = await jsonOf(text);
  try {
    return JSON.parse(json) as unknown;
  } catch (error) {
    throw new UsageError(`--input is no JSON: ${(error as Error).message}`);
  }
}

async function jsonOf(text: string): Promise<string> {
  if (text === "-") return await Bun.stdin.text();
  if (!text.startsWith("@")) return text;
  try {
    return await Bun.file(text.slice(1)).text();
  } catch (error) {
    throw new UsageError(`--input cannot read ${text.slice(1)}: ${(error as Error).message}`);
  }
}

function named(definitions: readonly Definition[], name: string): Definition {
  const found = definitions.find((each) => each.name === name);
  if (found) return found;
  const names = definitions.map((each) => each.name);
  throw new UsageError(`the server has no task "${name}"${didYouMean(name, names)}; it has ${names.join(", ")}`);
}

/** A schema may hold what only the server can check. */
function refusal(error: unknown, fields: readonly FieldFlag[]): unknown {
  if (!(error instanceof ApiError && error.code === "invalid_input")) return error;
  const [problem] = error.problems;
  return problem ? new UsageError(inputProblem(problem, fields)) : error;
}
