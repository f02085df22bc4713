import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { lines, Place } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { View } from "../support/e2e-view.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const TSC = join(import.meta.dir, "../../node_modules/typescript-7/bin/tsc");

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
    expect(stdout).toContain("artel serve --tasks tasks\n");
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

  test("never writes over a file: 1, one line, and nothing is changed", async () => {
    await using place = await Place.make();
    place.write({ "tasks/hello.ts": "mine" });
    const before = place.contents();
    const { code, stdout, stderr } = await place.run(["init", "tasks"]);
    expect([code, stdout, stderr]).toEqual([1, "", "artel: tasks/hello.ts is there already: name another folder\n"]);
    expect(place.contents()).toEqual(before);
    expect(readFileSync(place.path("tasks/hello.ts"), "utf8")).toBe("mine");
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
      expect.stringMatching(/^broken {2}bad\.ts:2:\d+: /) as unknown as string,
      expect.stringMatching(/^broken {2}loops\.ts: .*did not end/) as unknown as string,
    ]);
  });

  test("a folder that is none: 1; one without task files says so", async () => {
    await using place = await Place.make();
    const none = await place.run(["check", "nowhere"]);
    expect([none.code, lines(none.stderr).length]).toEqual([1, 1]);
    place.write({ "empty/readme.md": "" });
    expect(await place.run(["check"], { ARTEL_TASKS: "empty" })).toMatchObject({ code: 0, stdout: "empty holds no task file\n" });
  });
});
