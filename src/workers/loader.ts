/**
 * Entry of the loader threads: they import task files, which are code, where nothing that these do can hang or break the API,
 * hand out what is data of them, and run the schemas that are code, or whose cost depends on the input.
 */
import type { JsonSchema, TaskDefinition } from "../domain/definition.ts";
import { describe } from "./described.ts";
import { importTask, provideArtel } from "./library.ts";
import type { FromLoader, InputCheck, InputVerdict, Measure, ToLoader } from "./messages.ts";
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

self.onmessage = ({ data }: MessageEvent<ToLoader>) => {
  if (data.kind === "load") void load(data.file);
  else void checkAll(JSON.parse(data.checks) as readonly InputCheck[]);
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

async function checkAll(checks: readonly InputCheck[]): Promise<void> {
  let verdicts: InputVerdict[] = [];
  let since = performance.now();
  const flush = (): void => {
    if (verdicts.length > 0) send({ kind: "checked", verdicts });
    verdicts = [];
    since = performance.now();
  };
  for (const each of checks) {
    const verdict = check(each, await judgeOf(each.by));
    if (verdict instanceof Promise) void verdict.then((later) => send({ kind: "checked", verdicts: [later] }));
    else verdicts.push(verdict);
    if (performance.now() - since > BURST_MS) flush();
  }
  flush();
}

/** What an input is checked by; an error: its file cannot be imported. */
type Judge = ((input: unknown) => Judgement | Promise<Judgement>) | Error;
type Judgement = Pick<InputVerdict, "problems" | "filled">;

const judges = new Map<string, Promise<Judge>>();

async function judgeOf(by: Measure): Promise<Judge> {
  const key = "file" in by ? by.file : by.schema;
  const known = judges.get(key) ?? ("file" in by ? codeOf(by.file) : dataOf(by.schema));
  judges.set(key, known);
  return await known;
}

async function codeOf(file: string): Promise<Judge> {
  try {
    const { code } = await importTask(file);
    const schema = code?.input;
    return (input) => {
      const found = schema ? problemsOf(schema, input) : [];
      return found instanceof Promise ? found.then((problems) => ({ problems })) : { problems: found };
    };
  } catch (error) {
    return new Error(reasonOf(file, error));
  } finally {
    send({ kind: "imported", file });
  }
}

/** The validator is loaded for schemas of this kind alone. */
async function dataOf(schema: string): Promise<Judge> {
  const { checkOf } = await import("../domain/schema-check.ts");
  const checkData = checkOf({ input: JSON.parse(schema) as JsonSchema });
  send({ kind: "imported", file: "" });
  return (input) => {
    const sent = JSON.stringify(input);
    const problems = checkData(input);
    const filled = JSON.stringify(input);
    return { problems, filled: filled === sent ? undefined : filled };
  };
}

/** At once where the schema answers at once. */
function check({ id, input, by }: InputCheck, judge: Judge): InputVerdict | Promise<InputVerdict> {
  const failed = (error: unknown): InputVerdict => ({ id, failed: "file" in by ? reasonOf(by.file, error) : String(error) });
  if (judge instanceof Error) return { id, failed: judge.message };
  const began = performance.now();
  try {
    const found = judge(input);
    const slow = performance.now() - began > SLOW_MS;
    const verdict = ({ problems, filled }: Judgement): InputVerdict => ({ id, problems, filled, slow });
    return found instanceof Promise ? Promise.race([found.then(verdict), late(id)]).catch(failed) : verdict(found);
  } catch (error) {
    return failed(error);
  }
}

const late = async (id: number): Promise<InputVerdict> => {
  await Bun.sleep(CHECK_MS);
  return { id, failed: "it took too long", late: true };
};

send({ kind: "ready" });
