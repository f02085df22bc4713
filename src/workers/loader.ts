/**
 * Entry of the loader threads: they import task files, which are code, where nothing that these do can hang or break the API,
 * hand out what is data of them, and run the schemas that are code.
 */
import type { TaskDefinition } from "../domain/definition.ts";
import { describe } from "./described.ts";
import { importTask, provideArtel } from "./library.ts";
import type { CodeCheck, CodeVerdict, FromLoader, ToLoader } from "./messages.ts";
import { placeOf, reasonOf } from "./reason.ts";
import { problemsOf } from "./schemas.ts";

declare const self: Worker;

/** One input's check takes at most so long, where it lets others have their turn, in milliseconds. */
const CHECK_MS = 1_000;
/** What takes longer without letting others have their turn is slow, in milliseconds. */
const SLOW_MS = 250;
/** Verdicts are kept back for at most so long while the next inputs are checked, in milliseconds. */
const BURST_MS = 5;

provideArtel();
// What a file has left behind and goes wrong later must not end the thread while it imports the next one.
process.on("uncaughtException", () => {});
process.on("unhandledRejection", () => {});
// Standard output is the ready line's, standard error the log's; what a file prints as it is imported is neither.
for (const method of ["log", "info", "debug", "trace", "warn", "error", "dir", "table"] as const) console[method] = () => {};
const send = (message: FromLoader): void => self.postMessage(message);
// A file's process.exit would end this thread without a word.
process.exit = ((code?: number) => {
  throw new Error(`the file called process.exit(${code ?? ""})`);
}) as typeof process.exit;

const imported = new Map<string, Promise<TaskDefinition | Error>>();

self.onmessage = ({ data }: MessageEvent<ToLoader>) => {
  if (data.kind === "load") void load(data.file);
  else void checkAll(JSON.parse(data.checks) as readonly CodeCheck[]);
};

async function load(file: string): Promise<void> {
  let definition: TaskDefinition | undefined;
  try {
    definition = await importTask(file);
    send({ kind: "loaded", file, ...(await describe(definition, file)), place: placeOf(file, definition.code?.at) });
  } catch (error) {
    send({ kind: "broken", file, reason: reasonOf(file, error, definition?.code?.at) });
  }
}

async function checkAll(checks: readonly CodeCheck[]): Promise<void> {
  let verdicts: CodeVerdict[] = [];
  let since = performance.now();
  const flush = (): void => {
    if (verdicts.length > 0) send({ kind: "checked", verdicts });
    verdicts = [];
    since = performance.now();
  };
  for (const each of checks) {
    const definition = await fileOf(each.file);
    const verdict = check(each, definition);
    if (verdict instanceof Promise) void verdict.then((later) => send({ kind: "checked", verdicts: [later] }));
    else verdicts.push(verdict);
    if (performance.now() - since > BURST_MS) flush();
  }
  flush();
}

/** An error: the file cannot be imported. */
async function fileOf(file: string): Promise<TaskDefinition | Error> {
  const known = imported.get(file) ?? importForChecks(file);
  imported.set(file, known);
  return await known;
}

async function importForChecks(file: string): Promise<TaskDefinition | Error> {
  try {
    return await importTask(file);
  } catch (error) {
    return new Error(reasonOf(file, error));
  } finally {
    send({ kind: "imported", file });
  }
}

/** At once where the schema answers at once. */
function check({ id, input, file }: CodeCheck, definition: TaskDefinition | Error): CodeVerdict | Promise<CodeVerdict> {
  const failed = (error: unknown): CodeVerdict => ({ id, failed: reasonOf(file, error) });
  if (definition instanceof Error) return { id, failed: definition.message };
  const began = performance.now();
  try {
    const schema = definition.code?.input;
    const found = schema ? problemsOf(schema, input) : [];
    const slow = performance.now() - began > SLOW_MS;
    if (!(found instanceof Promise)) return { id, problems: found, slow };
    return Promise.race([found.then((problems) => ({ id, problems, slow })), late(id)]).catch(failed);
  } catch (error) {
    return failed(error);
  }
}

const late = async (id: number): Promise<CodeVerdict> => {
  await Bun.sleep(CHECK_MS);
  return { id, failed: "it took too long", late: true };
};

send({ kind: "ready" });
