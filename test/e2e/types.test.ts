import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { lines, Place } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { installSchemaLibraries, SCHEMA_FILES } from "../support/schema-files.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const ROOT = join(import.meta.dir, "../..");
const NODE = Bun.which("node");

const GREET = `import { task, t } from "artel";
export default task({
  description: "Greets slowly */ and\\nwith a break",
  input: t.Object({
    name: t.String({ description: "Who" }),
    times: t.Integer({ default: 2 }),
    "odd-name": t.Optional(t.Union([t.Literal("a"), t.Literal("b")])),
  }),
  output: t.Object({ greetings: t.Array(t.String()) }),
  retry: 1,
  async run({ name, times }, ctx) {
    if (name === "nobody") throw Object.assign(new Error("nobody there"), { code: "nobody_there" });
    if (name === "forever") await new Promise((_, reject) => ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason)));
    for (let n = 1; n <= times; n += 1) ctx.progress(n, times, "time " + n);
    return { greetings: Array.from({ length: times }, () => "Hello, " + name) };
  },
});
`;

/** Every line with "wrong" is an error; nothing else is. */
const USE = `import { Artel, ArtelError, TaskFailed, type Task, type TaskId, type Update } from "./artel.ts";

export async function checked(artel: Artel): Promise<void> {
  const { task_id: id, status } = await artel.submit("greet", { name: "Ada", "odd-name": "a" }, { delay: "1s", priority: "low" });
  const asText: string = id + status;
  const task: Task<"greet"> = await artel.get(id);
  const greetings: string[] | undefined = task.result?.greetings;
  const kept: TaskId<"greet"> = id;
  const anyTask = await artel.get(asText);
  const workflow: string | undefined = anyTask.workflow_id ?? anyTask.waiting;
  const name: "greet" | "zodded" | "parse" = anyTask.name;
  const { year } = await artel.run("zodded", { name: "Ada", when: "2020-01-01" });
  const n: number = year + (greetings?.length ?? 0);
  const updates: Update<"greet">[] = [];
  await artel.wait(kept, { onUpdate: (update) => updates.push(update) });
  await artel.submit("great", {}); // wrong
  await artel.submit("greet", {}); // wrong
  await artel.submit("greet", { name: 1 }); // wrong
  await artel.submit("greet", { name: "Ada", more: 1 }); // wrong
  await artel.submit("greet", { name: "Ada", "odd-name": "c" }); // wrong
  await artel.submit("greet", { name: "Ada" }, { delay: 5 }); // wrong
  await artel.batch("greet", [{ name: "Ada" }, { nam: "Ben" }]); // wrong
  (await artel.run("greet", { name: "Ada" })).nothing; // wrong
  task.result?.greetings.toUpperCase(); // wrong
  await artel.list({ name: "nobody" }); // wrong
  const other: TaskId<"zodded"> = id; // wrong
  console.log(name, n, other, workflow);
}

const [, , server = "", email = "", password = ""] = process.argv;
const artel = new Artel({ server });
await artel.register(email, password);
await artel.login(email, password);

const seen: string[] = [];
const result = await artel.run("greet", { name: "Ada" }, { onUpdate: ({ status, message }) => seen.push(status + " " + message) });
const batch = await artel.batch("greet", [{ name: "a" }, { name: "b", times: 1 }]);
const ended = await Promise.all(batch.map((id) => artel.wait(id)));
const zodded = await artel.run("zodded", { name: "Ada", when: "2020-01-01" });
const refused = await artel.submit("greet", { name: 5 as never }).catch((error: unknown) => error);
const failed = await artel.run("greet", { name: "nobody" }).catch((error: unknown) => error);
const { task_id } = await artel.submit("greet", { name: "forever" });
const watched: string[] = [];
for await (const { status } of artel.watch(task_id)) {
  watched.push(status);
  if (status === "in progress" && watched.indexOf(status) === watched.length - 1) await artel.cancel(task_id);
}
const given = new AbortController();
const later = await artel.submit("greet", { name: "later" }, { delay: "1h", idempotencyKey: "key" });
const waiting = artel.wait(later.task_id, { signal: given.signal, onUpdate: () => given.abort(new Error("enough")) });
const enough = await waiting.catch((error: unknown) => error);
await artel.cancel(later.task_id);
const again = await artel.retry(later.task_id);
const missing = await artel.get("01900000-0000-7000-8000-000000000000").catch((error: unknown) => error);
const page = await artel.list({ status: "done", name: "zodded" });
await artel.logout();
const out = await artel.list().catch((error: unknown) => error);

const codeOf = (error: unknown) => (error instanceof ArtelError || error instanceof TaskFailed ? [error.name, error.code] : error);
console.log(JSON.stringify({
  result, last: seen.at(-1), batch: ended.map(({ status, result }) => [status, result?.greetings.length]), zodded,
  refused: codeOf(refused), paths: refused instanceof ArtelError ? refused.errors : [],
  failed: codeOf(failed), watched: watched.at(-1), enough: String(enough), again: again.attempt, missing: codeOf(missing),
  page: page.items.length, out: codeOf(out),
}));
`;

const TOLD = {
  result: { greetings: ["Hello, Ada", "Hello, Ada"] },
  last: "done time 2",
  batch: [
    ["done", 2],
    ["done", 1],
  ],
  zodded: { year: 2020, name: "Ada", times: 3 },
  refused: ["ArtelError", "invalid_input"],
  paths: [{ path: "/name", message: "must be string" }],
  failed: ["TaskFailed", "nobody_there"],
  watched: "cancelled",
  enough: "Error: enough",
  again: 1,
  missing: ["ArtelError", "task_not_found"],
  page: 1,
  out: ["ArtelError", "unauthorized"],
};

/** Errors of the strictest type check, as FILE:LINE. */
async function typeErrors(folder: string, files: readonly string[], lib: string): Promise<string[]> {
  const flags = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--noImplicitOverride"];
  const more = [
    "--noUnusedLocals",
    "--noImplicitReturns",
    "--erasableSyntaxOnly",
    "--verbatimModuleSyntax",
    "--allowImportingTsExtensions",
  ];
  const target = ["--target", "ES2022", "--module", "ESNext", "--moduleResolution", "bundler", "--types", "", "--lib", lib];
  const tsc = join(ROOT, "node_modules/typescript-7/bin/tsc");
  const checker = Bun.spawn([process.execPath, tsc, ...flags, ...more, ...target, ...files], { cwd: folder, stdout: "pipe" });
  const text = await checker.stdout.text();
  return lines(text)
    .filter((line) => line.includes("error TS"))
    .map((line) => line.replace(/^(.*)\((\d+),.*error (TS\d+).*$/, "$1:$2"));
}

async function scene() {
  const place = await Place.make();
  place.write({ "tasks/greet.ts": GREET, "tasks/zodded.ts": SCHEMA_FILES["zodded"] ?? "" });
  installSchemaLibraries(place.path("tasks"));
  const { url } = await place.serve(["--tasks", "tasks", "--threads", "2"]);
  const { token } = await Client.register(url);
  return { place, url, env: { ARTEL_SERVER: url, ARTEL_TOKEN: token } };
}

describe("artel types", () => {
  test("prints a client that compiles strictly, takes what is right and refuses what is wrong", async () => {
    const { place, env } = await scene();
    await using _ = place;
    const { code, stdout, stderr } = await place.run(["types"], env);
    expect([code, stderr]).toEqual([0, ""]);
    const use = USE.replace("process.argv", "[0, 0] as unknown as string[]");
    place.write({ "client/artel.ts": stdout, "client/use.ts": use });
    expect(await typeErrors(place.path("client"), ["artel.ts"], "ES2022,DOM,DOM.Iterable")).toEqual([]);
    const wrong = use.split("\n").flatMap((line, i) => (line.includes("// wrong") ? [`use.ts:${i + 1}`] : []));
    expect(wrong).toHaveLength(11);
    expect([...new Set(await typeErrors(place.path("client"), ["use.ts"], "ESNext,DOM,DOM.Iterable"))]).toEqual(wrong);
  });

  test("the client works against its server, in Bun and in Node", async () => {
    const { place, url, env } = await scene();
    await using _ = place;
    place.write({ "client/use.ts": USE, "client/package.json": '{ "type": "module" }' });
    expect(await place.run(["types", "--out", "client/artel.ts"], env)).toMatchObject({ code: 0, stdout: "", stderr: "" });
    const written = statSync(place.path("client/artel.ts")).mtimeMs;
    await place.run(["types", "--out", "client/artel.ts"], env);
    expect(statSync(place.path("client/artel.ts")).mtimeMs).toBe(written);
    // A Node that knows neither TypeScript nor WebSocket does as well: then the client asks again and again.
    const script = new Bun.Transpiler({ loader: "ts" });
    const plain = (file: string): string => script.transformSync(readFileSync(place.path("client", file), "utf8"));
    place.write({ "node/package.json": '{ "type": "module" }', "node/artel.ts.js": plain("artel.ts") });
    place.write({ "node/use.js": plain("use.ts").replace('"./artel.ts"', '"./artel.ts.js"') });
    const runtimes = [[process.execPath, place.path("client/use.ts")], ...(NODE ? [[NODE, place.path("node/use.js")]] : [])];
    for (const [i, runtime] of runtimes.entries()) {
      const user = [url, `user${i}@example.com`, "correct horse battery"];
      const run = Bun.spawn([...runtime, ...user], { stdout: "pipe", stderr: "pipe" });
      const [text, errors] = await Promise.all([run.stdout.text(), run.stderr.text()]);
      expect(errors).toBe("");
      expect(JSON.parse(text)).toEqual(TOLD);
    }
  });

  test("needs somebody who is logged in, and a place that it can write to", async () => {
    const { place, url, env } = await scene();
    await using _ = place;
    const nobody = await place.run(["types", "--server", url]);
    expect([nobody.code, nobody.stdout, lines(nobody.stderr).length]).toEqual([1, "", 1]);
    place.write({ file: "" });
    const nowhere = await place.run(["types", "--out", "file/artel.ts"], env);
    expect([nowhere.code, nowhere.stderr]).toEqual([
      1,
      expect.stringMatching(/^artel: cannot write file\/artel\.ts: [^\n]+\n$/),
    ] as never);
    expect(await place.run(["types", "--out", "src/tasks/artel.ts"], env)).toMatchObject({ code: 0, stderr: "" });
    expect(existsSync(place.path("src/tasks/artel.ts"))).toBe(true);
  });
});
