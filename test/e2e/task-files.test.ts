import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { lines, Place } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const HEAD = 'import { task, t } from "artel";\n';
const fine = (options: string): string => `${HEAD}export default task({ input: t.Object({}), run: () => 1, ${options} });\n`;

/** Files that cannot be used, in alphabetical order, and what must be said of each. */
const BROKEN: Readonly<Record<string, readonly [text: string, reason: RegExp]>> = {
  "Bad Name.ts": [fine(""), /^Bad Name\.ts: .*no task name/],
  "builtin.ts": [fine('name: "parse"'), /^builtin\.ts: there is a task "parse" already/],
  "definitions.ts": [fine(""), /^definitions\.ts: .*reserved/],
  "ends.ts": ["process.exit(3);\n", /^ends\.ts:1:\d+: .*process\.exit/],
  "lacks.ts": [`${HEAD}import "./lib/nothing.ts";\n${fine("").slice(HEAD.length)}`, /^lacks\.ts.*nothing\.ts/],
  "loops.ts": ["for (;;);\n", /^loops\.ts: .*did not end/],
  "no-default.ts": ["export const x = 1;\n", /^no-default\.ts: there is no default export/],
  "no-task.ts": ["export default { run: 1 };\n", /^no-task\.ts: the default export is no task/],
  "option-name.ts": [fine("retries: 3"), /^option-name\.ts:2:\d+: task\(\) has no field "retries" \(did you mean retry\?\)/],
  "option.ts": [fine('timeout: "soon"'), /^option\.ts:2:\d+: "soon" is no duration/],
  "schema-class.ts": [
    `${HEAD}class Schema {}\nexport default task({ input: new Schema(), run: () => 1 });\n`,
    /^schema-class\.ts:3:\d+: "input" is no schema that is known here \(Schema\)/,
  ],
  "schema-fields.ts": [
    `${HEAD}\nexport default task({ input: { name: t.String() }, run: () => 1 });\n`,
    /^schema-fields\.ts:3:\d+: "input" must be a schema: write t\.Object\(\{ name/,
  ],
  "schema.ts": [
    `${HEAD}export default task({ input: { type: "objekt" }, run: () => 1 });\n`,
    /^schema\.ts:2:\d+: "input" is no valid JSON Schema/,
  ],
  "syntax.ts": [`${HEAD}export default task({\n  input: t.Object({}),,\n});\n`, /^syntax\.ts:3:\d+: /],
  "throws.ts": [`${HEAD}\nthrow new Error("no configuration\\nat all");\n`, /^throws\.ts:3:\d+: no configuration$/],
  "twice.ts": [fine('name: "quick"'), /^twice\.ts: there is a task "quick" already/],
};

/** Files that can, some of them with what would harm others if it could. */
const USABLE: Readonly<Record<string, string>> = {
  "quick.ts": TASKS["tasks/quick.ts"] ?? "",
  "chatty.ts": `${HEAD}console.log("a line of its own"); export default task({ input: t.Object({}), run() { console.log("running"); } });`,
  // Goes wrong after its import, while the loader is at the next file.
  "later.ts": `${HEAD}void Promise.reject(new Error("later")); setTimeout(() => { throw new Error("much later"); }, 1);
    export default task({ input: t.Object({}), run: () => "late" });`,
  "uses.ts": `${HEAD}import shout from "shout"; import { word } from "@/word"; import other from "./script.js";
    export default task({ input: t.Object({}), run: async () => shout(word) + other.policy.name + (await other.run({}, {} as never)) });`,
  "script.js": `${HEAD}export default task({ name: "another", input: t.Object({}), run: () => 7 });`,
  "lib/word.ts": 'export const word: string = "hey";',
  "tsconfig.json": '{ "compilerOptions": { "paths": { "@/*": ["./lib/*"], "artel": ["./artel.d.ts"] } } }',
  "artel.d.ts": 'declare module "artel" {}',
  "node_modules/shout/package.json": '{ "name": "shout", "main": "./dist/main.cjs" }',
  "node_modules/shout/dist/main.cjs": "module.exports = (word) => word.toUpperCase() + '!';",
  "modern.ts": `${HEAD}import { word } from "modern"; export default task({ input: t.Object({}), run: () => word });`,
  "node_modules/modern/package.json":
    '{ "name": "modern", "type": "module", "exports": { ".": { "import": "./dist/main.js" } } }',
  "node_modules/modern/dist/main.js": "export const word = 'exported';",
  // None of these is a task file.
  "types.d.ts": "declare const x: number;",
  "quick.test.ts": "throw new Error('a test');",
  "notes.md": "no code",
  ".hidden.ts": "throw new Error('hidden');",
};

describe("a tasks folder", () => {
  test("broken files are named with line and reason, and hinder neither the others nor the server", async () => {
    await using place = await Place.make();
    const broken = Object.fromEntries(Object.entries(BROKEN).map(([name, [text]]) => [name, text]));
    place.write(Object.fromEntries(Object.entries({ ...USABLE, ...broken }).map(([name, text]) => [`tasks/${name}`, text])));
    const { process, url } = await place.serve(["--tasks", "tasks", "--threads", "1"]);
    expect(lines(process.stdout)).toHaveLength(1);

    const told = process.log.filter(({ message }) => message === "task file left out");
    expect(told.map(({ file }) => file)).toEqual(Object.keys(BROKEN).map((name) => place.path("tasks", name)));
    for (const [i, [, reason]] of Object.values(BROKEN).entries()) expect(told[i]?.["reason"]).toMatch(reason);

    const ready = await fetch(`${url}/health/ready`);
    expect(ready.status).toBe(200);
    const { checks } = (await ready.json()) as { checks: { tasks: { ok: boolean; detail: string } } };
    for (const name of Object.keys(BROKEN)) expect(checks.tasks.detail).toContain(`${name}:`);

    const ada = await Client.register(url);
    const view = await View.open(ada);
    const known = (await ada.call("GET", "/tasks/definitions")).body as { name: string }[];
    expect(known.map(({ name }) => name).sort()).toEqual(["another", "chatty", "later", "modern", "parse", "quick", "uses"]);
    expect(await ada.call("POST", "/tasks/syntax", {})).toMatchObject({ status: 404, body: { code: "unknown_task" } });
    const ids = [
      await ada.submit("uses"),
      await ada.submit("quick", { n: 4 }),
      await ada.submit("another"),
      await ada.submit("chatty"),
      await ada.submit("modern"),
    ];
    await view.ended([...ids, await ada.submit("later")]);
    expect(ids.map((id) => view.tasks.get(id)?.result)).toEqual(["HEY!another7", 8, 7, null, "exported"]);
    expect((await ada.call("GET", `/tasks/${ids[3]}/logs`)).body).toMatchObject({
      items: [{ level: "info", message: "running" }],
    });
    expect(process.running).toBe(true);
    expect(lines(process.stdout)).toHaveLength(1);
  });

  test("an empty one is fine", async () => {
    await using place = await Place.make();
    place.write({ "tasks/readme.md": "" });
    const { url } = await place.serve(["--tasks", "tasks"]);
    expect(await (await fetch(`${url}/health/ready`)).json()).toMatchObject({ checks: { tasks: { ok: true } } });
  });
});
