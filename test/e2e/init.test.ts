import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { lines, Place } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { View } from "../support/e2e-view.ts";
import { installSchemaLibraries } from "../support/schema-files.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const TSC = join(import.meta.dir, "../../node_modules/typescript-7/bin/tsc");

const NPM_PACKAGE = '{ "name": "mine", "version": "1.0.0", "main": "index.js", "license": "ISC", "type": "commonjs" }';
const BUN_PACKAGE = '{ "name": "mine", "module": "index.ts", "type": "module", "private": true }';
const BUN_TSCONFIG = `{
  "compilerOptions": {
    // With comments, as there.
    "lib": ["ESNext"], "target": "ESNext", "module": "Preserve", "moduleDetection": "force", "jsx": "react-jsx", "allowJs": true,
    "types": ["bun-types"], "moduleResolution": "bundler", "allowImportingTsExtensions": true, "verbatimModuleSyntax": true,
    "noEmit": true, "strict": true, "skipLibCheck": true, "noUncheckedIndexedAccess": true, "noImplicitOverride": true
  }
}`;

/** What a type checker says of a folder, by lines; it finds nothing but what lies there. */
async function typeErrors(folder: string): Promise<string[]> {
  const checker = Bun.spawn([process.execPath, TSC, "-p", folder], { stdout: "pipe", stderr: "inherit" });
  const text = await checker.stdout.text();
  await checker.exited;
  return lines(text).filter((line) => line.includes("error TS"));
}

describe("artel init", () => {
  test("writes a folder that can be served as it is, and says how", async () => {
    await using place = await Place.make();
    const { code, stdout, stderr } = await place.run(["init"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(lines(stdout)).toEqual([
      "wrote into tasks: hello.ts, artel.d.ts, tsconfig.json, package.json",
      "serve it:   artel serve --tasks tasks",
      "check it:   artel check tasks",
    ]);
    expect(Object.keys(place.contents()).sort()).toEqual(
      ["artel", "tasks", ...["artel.d.ts", "hello.ts", "package.json", "tsconfig.json"].map((name) => `tasks/${name}`)].map(
        (name) => place.path(name),
      ),
    );
    const { url, process } = await place.serve(["--tasks", "tasks", "--threads", "1"]);
    expect(process.log.filter(({ level }) => level === "error")).toEqual([]);
    const ada = await Client.register(url);
    const view = await View.open(ada);
    const [fine, refused] = [await ada.submit("hello", { name: "Ada", times: 2 }), await ada.submit("hello", { name: "nobody" })];
    await view.ended([fine, refused]);
    expect(view.tasks.get(fine)).toMatchObject({ status: "done", result: { greetings: ["Hello, Ada!", "Hello, Ada!"] } });
    expect(view.tasks.get(refused)).toMatchObject({ status: "failed", attempt: 3, error: { code: "nobody_there" } });
    view.close();
  });

  test("an editor completes and checks there with nothing downloaded: types flow from the schema", async () => {
    await using place = await Place.make();
    await place.run(["init", "mine"]);
    expect(await typeErrors(place.path("mine"))).toEqual([]);
    place.write({
      "mine/wrong.ts": `import { task, t } from "artel";
        export default task({
          input: t.Object({ n: t.Integer(), tags: t.Array(t.String()), size: t.Optional(t.Union([t.Literal("s"), t.Literal("l")])) }),
          run({ n, tags, size }, ctx) {
            const fine: number = n + tags.map((tag) => tag.length).length + (size === "s" ? 1 : 2);
            n.toUpperCase();
            tags.push(1);
            if (size === "m") ctx.log.info("never");
            ctx.progres(0.5);
            return fine;
          },
          retries: 3,
        });`,
    });
    const found = (await typeErrors(place.path("mine"))).map((line) => /\((\d+),/.exec(line)?.[1]);
    expect([...new Set(found)].sort()).toEqual(["12", "6", "7", "8", "9"]);
  });

  test("the same with schemas of zod, valibot and arktype, and with one of the result", async () => {
    await using place = await Place.make();
    await place.run(["init", "mine"]);
    installSchemaLibraries(place.path("mine"));
    const fine = (schema: string, body: string, more = ""): string =>
      `export const _${fineCount++} = task({ input: ${schema}, run(input) { ${body} }, ${more} });\n`;
    let fineCount = 0;
    place.write({
      "mine/right.ts":
        'import { task, t } from "artel"; import { z } from "zod"; import * as v from "valibot"; import { type } from "arktype";\n' +
        fine(
          "z.object({ at: z.coerce.date(), n: z.number().default(1) })",
          "const n: number = input.n; return input.at.getTime() + n;",
        ) +
        fine("z.object({ a: z.string() })", "return input.a;", 'unique: ["a"], schedule: { cron: "@daily", input: { a: "x" } }') +
        fine("v.object({ n: v.pipe(v.string(), v.transform(Number)) })", "return input.n.toFixed(1);") +
        fine('type({ n: "string.numeric.parse", "s?": "\'a\' | \'b\'" })', 'return input.n.toFixed(1) + (input.s === "a");') +
        fine("t.Object({ a: t.Number() })", "return { sum: input.a };", "output: z.object({ sum: z.number() })") +
        fine("t.Object({ a: t.Number() })", "return { sum: input.a };", "output: t.Object({ sum: t.Number() })") +
        fine(
          "z.object({})",
          "return Promise.resolve({ at: 1, input });",
          "output: z.object({ at: z.number().transform(String) })",
        ),
      "mine/wrong.ts": `import { task, t } from "artel"; import { z } from "zod"; import * as v from "valibot"; import { type } from "arktype";
        export const a = task({ input: z.object({ n: z.number() }), run: ({ n }) => n.toUpperCase() });
        export const b = task({ input: v.object({ n: v.number() }), run: ({ n }) => n.toUpperCase() });
        export const c = task({ input: type({ n: "number" }), run: ({ n }) => n.toUpperCase() });
        export const d = task({ input: z.object({}), output: z.object({ sum: z.number() }), run: () => ({ sum: "1" }) });
        export const e = task({ input: t.Object({}), output: t.Object({ sum: t.Number() }), run: async () => ({ total: 1 }) });
        export const f = task({ input: z.object({ n: z.number() }), unique: ["m"], run: () => 1 });
        export const g = task({ input: z.object({ n: z.number() }), schedule: { cron: "@daily", input: { n: "1" } }, run: () => 1 });
        export const h = task({ input: { n: 1 }, run: () => 1 });`,
    });
    const found = await typeErrors(place.path("mine"));
    expect(found.filter((line) => !line.includes("wrong.ts"))).toEqual([]);
    expect([...new Set(found.map((line) => /\((\d+),/.exec(line)?.[1]))].sort()).toEqual([
      "2",
      "3",
      "4",
      "5",
      "6",
      "7",
      "8",
      "9",
    ]);
  });

  test("adds what is missing to a project, as `npm init -y` writes it, and leaves its files as they are", async () => {
    await using place = await Place.make();
    place.write({ "mine/package.json": NPM_PACKAGE });
    const { code, stdout, stderr } = await place.run(["init", "mine"]);
    expect([code, stderr, ...lines(stdout)]).toEqual([
      0,
      "",
      "wrote into mine: hello.ts, artel.d.ts, tsconfig.json",
      "left as it was: package.json",
      "serve it:   artel serve --tasks mine",
      "check it:   artel check mine",
    ]);
    expect(readFileSync(place.path("mine/package.json"), "utf8")).toBe(NPM_PACKAGE);
    expect(await typeErrors(place.path("mine"))).toEqual([]);
    expect(await place.run(["check", "mine"])).toMatchObject({ code: 0, stdout: "ok      mine/hello.ts: POST /tasks/hello\n" });
    const { url } = await place.serve(["--tasks", "mine", "--threads", "1"]);
    const ada = await Client.register(url);
    const view = await View.open(ada);
    const id = await ada.submit("hello", { name: "Ada", times: 1 });
    await view.ended([id]);
    expect(view.tasks.get(id)).toMatchObject({ status: "done" });
    view.close();
  });

  test("the same as `bun init` writes it, and says what else there is taken for a task file", async () => {
    await using place = await Place.make();
    const project = { "package.json": BUN_PACKAGE, "tsconfig.json": BUN_TSCONFIG, "index.ts": 'console.log("mine");' };
    place.write(Object.fromEntries(Object.entries(project).map(([name, text]) => [`mine/${name}`, text])));
    const { code, stdout, stderr } = await place.run(["init", "mine"]);
    expect([code, stderr, ...lines(stdout)]).toEqual([
      0,
      "",
      "wrote into mine: hello.ts, artel.d.ts",
      "left as it was: tsconfig.json, package.json",
      "an editor completes where tsconfig.json includes artel.d.ts and the task files",
      "taken for task files too, for they lie beside them: index.ts",
      "serve it:   artel serve --tasks mine",
      "check it:   artel check mine",
    ]);
    for (const [name, text] of Object.entries(project)) expect(readFileSync(place.path("mine", name), "utf8")).toBe(text);
    symlinkSync(join(import.meta.dir, "../../node_modules"), place.path("mine/node_modules"));
    expect(await typeErrors(place.path("mine"))).toEqual([]);
    expect((await place.run(["check", "mine"])).stdout).toContain("ok      mine/hello.ts: POST /tasks/hello\n");
  });

  test("never writes over a file of a task or its types: 1, one line that names each, and nothing is changed", async () => {
    await using place = await Place.make();
    const refused = async (files: Record<string, string>, names: string) => {
      place.write(files);
      const before = place.contents();
      const { code, stdout, stderr } = await place.run(["init", "tasks"]);
      expect([code, stdout, stderr]).toEqual([1, "", `artel: ${names} there already: name another folder\n`]);
      expect(place.contents()).toEqual(before);
    };
    await refused({ "tasks/hello.ts": "mine" }, "tasks/hello.ts is");
    await refused({ "tasks/artel.d.ts": "mine" }, "tasks/hello.ts and tasks/artel.d.ts are");
    expect(readFileSync(place.path("tasks/hello.ts"), "utf8")).toBe("mine");
  });

  test("where one of the files cannot be written there is none: 1, one line", async () => {
    await using place = await Place.make();
    mkdirSync(place.path("tasks"));
    // A link to nowhere is no file that is there, nor one that can be made.
    symlinkSync(place.path("nowhere/else"), place.path("tasks/package.json"));
    const { code, stdout, stderr } = await place.run(["init"]);
    expect([code, stdout, lines(stderr)]).toEqual([1, "", [expect.stringMatching(/^artel: cannot write tasks: /)]] as never);
    expect(readdirSync(place.path("tasks"))).toEqual(["package.json"]);
  });
});

describe("artel check", () => {
  test("names every file, and what is wrong with line and reason; 1 where one cannot be loaded", async () => {
    await using place = await Place.make();
    await place.run(["init"]);
    expect(await place.run(["check"])).toMatchObject({
      code: 0,
      stdout: "ok      tasks/hello.ts: POST /tasks/hello\n",
      stderr: "",
    });
    place.write({ "tasks/bad.ts": 'import { task } from "artel";\nexport default task({,});\n', "tasks/loops.ts": "for (;;);" });
    const { code, stdout, stderr } = await place.run(["check", "tasks"]);
    expect([code, stderr]).toEqual([1, "artel: 2 of 3 task files cannot be loaded\n"]);
    expect(lines(stdout)).toEqual([
      "ok      tasks/hello.ts: POST /tasks/hello",
      expect.stringMatching(/^broken {2}tasks\/bad\.ts:2:\d+: /) as unknown as string,
      expect.stringMatching(/^broken {2}tasks\/loops\.ts: .*did not end/) as unknown as string,
    ]);
  });

  test("says what JSON Schema does not cover, which breaks nothing", async () => {
    await using place = await Place.make();
    place.write({
      "tasks/dates.ts": `import { task } from "artel"; import { z } from "zod";
        export default task({ input: z.object({ at: z.coerce.date(), list: z.array(z.object({ odd: z.number().refine((n) => n % 2 === 1) })) }), run: () => 1 });`,
      "tasks/own.ts": `import { task } from "artel";
        const jsonSchema = { input() { throw new Error("too wonderful"); } };
        export default task({ input: { "~standard": { version: 1, vendor: "own", validate: (value: unknown) => ({ value }), jsonSchema } } as never, run: () => 1 });`,
      "tasks/valibot.ts": `import { task } from "artel"; import * as v from "valibot";
        export default task({ input: v.object({ n: v.number() }), run: () => 1 });`,
    });
    installSchemaLibraries(place.path("tasks"), ["zod", "valibot"]);
    const { code, stdout } = await place.run(["check"]);
    expect([code, ...lines(stdout)]).toEqual([
      0,
      "ok      tasks/dates.ts: POST /tasks/dates",
      'note    tasks/dates.ts:2:24: "input": its code says more than JSON Schema can: /list/odd, /at',
      "ok      tasks/own.ts: POST /tasks/own",
      'note    tasks/own.ts:3:24: "input": no JSON Schema can be made of it, so its code alone checks: too wonderful',
      "ok      tasks/valibot.ts: POST /tasks/valibot",
      'note    tasks/valibot.ts:2:24: "input": no JSON Schema can be made of it, so its code alone checks: @valibot/to-json-schema is not installed beside it',
    ]);
    const { process } = await place.serve(["--tasks", "tasks", "--threads", "0"]);
    expect(process.log.filter(({ message }) => message === "schema without JSON Schema")).toHaveLength(2);
  });

  test("a folder that is none: 1; one without task files says so", async () => {
    await using place = await Place.make();
    const none = await place.run(["check", "nowhere"]);
    expect([none.code, lines(none.stderr).length]).toEqual([1, 1]);
    place.write({ "empty/readme.md": "" });
    expect(await place.run(["check"], { ARTEL_TASKS: "empty" })).toMatchObject({ code: 0, stdout: "empty holds no task file\n" });
  });
});
