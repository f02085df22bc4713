/** `artel client` in a pipe: commands in, plain lines out. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Ended, Place } from "../support/artel-process.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { LIMIT_MS, within } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const PASSWORD = "correct horse battery";
let place: Place;
let url: string;

beforeAll(async () => {
  place = await Place.make();
  place.write(TASKS);
  ({ url } = await place.serve(["--tasks", "tasks", "--threads", "1"]));
});
afterAll(() => place[Symbol.asyncDispose]());

/** A user's config folder and what he types. */
const configOf = (user: string): string => join(place.home, user);
const client = (user: string, lines: readonly string[], env: Record<string, string> = {}): Promise<Ended> =>
  place.run(["client", "--server", url], { XDG_CONFIG_HOME: configOf(user), ...env }, lines.map((line) => `${line}\n`).join(""));
/** One who has an account and is logged in. */
const registered = async (user: string): Promise<void> => {
  const { code, stdout } = await client(user, ["register", `${user}@example.com`, PASSWORD]);
  expect([code, stdout]).toEqual([0, expect.stringContaining(`Logged in as ${user}@example.com`)]);
};
const idIn = (stdout: string): string => /^Submitted: \S+ (\S+)$/m.exec(stdout)?.[1] ?? "";

describe.concurrent("a pipe", () => {
  test("that nobody reads any more ends it, while commands could still come", async () => {
    const oneLine = '"$0" client --server "$1" | { read -r line; exec <&-; echo "$line"; }';
    const shell = Bun.spawn(["sh", "-c", oneLine, place.program, url], {
      env: { HOME: place.home, XDG_CONFIG_HOME: configOf("unread"), PATH: process.env["PATH"] },
      stdio: ["pipe", "pipe", "inherit"],
    });
    const say = (line: string): void => {
      shell.stdin.write(`${line}\n`);
      shell.stdin.flush();
    };
    say("help");
    expect(String(Buffer.from((await shell.stdout.getReader().read()).value ?? []))).toStartWith("register [EMAIL]");
    say("help");
    await within(shell.exited, "the end of the client").finally(() => shell.stdin.end());
  });

  test("goes the whole way: register, task, watch, show, logs, retry, cancel, logout", async () => {
    await registered("whole");
    const submitted = await client("whole", ["task quick", "21", "watch", "", "tasks", `show ${"x".repeat(8)}`]);
    const id = idIn(submitted.stdout);
    expect(submitted.stdout).toContain(`${id.slice(-8)}  quick  ✓ done`);
    expect(submitted.stdout).toContain("result:\n42\n");
    expect(submitted.stdout).toContain("There is no task xxxxxxxx of yours");
    expect(submitted.code).toBe(1);

    const { stdout, code } = await client("whole", [
      `show ${id.slice(-8)}`,
      `logs ${id}`,
      "task gated",
      "never",
      "cancel",
      "",
      "watch",
      "",
    ]);
    expect(stdout).toMatch(/^input +\{"n":21\}$/m);
    expect(stdout).toContain("It has logged nothing.");
    expect(stdout).toMatch(/Cancelling [0-9a-f]{8}\./);
    expect(stdout).toContain("✗ cancelled");
    // What was followed has not become what was wished.
    expect(code).toBe(1);

    const again = await client("whole", [`retry ${id}`, "retry", "", "cancel", "", "logout", "tasks"]);
    expect(again.stdout).toContain("Only a failed or cancelled task can be retried");
    expect(again.stdout).toMatch(/[0-9a-f]{8} is queued again\./);
    expect(again.stdout.trimEnd().split("\n").slice(-2)).toEqual([
      "Logged out.",
      "Nobody is logged in: `login` or `register` first.",
    ]);
    expect([again.code, again.stderr]).toEqual([1, ""]);
  });

  test("tells of the user's tasks, each change once, and ends with 0 when all commands could be done", async () => {
    await registered("told");
    const { stdout, code, stderr } = await client("told", ["task quick", "1", "watch", ""]);
    const told = stdout.split("\n").filter((line) => /^\d\d:\d\d:\d\d /.test(line));
    expect(told.map((line) => line.replace(/^\S+ \S+ +/, ""))).toEqual([
      "quick  · queued",
      "quick  ▸ in progress",
      "quick  ✓ done",
    ]);
    expect([code, stderr]).toEqual([0, ""]);
  });

  test("has one line for each field, also after a wrong one", async () => {
    await registered("fields");
    const { stdout, code } = await client("fields", ["task quick", "many", "tasks"]);
    expect(stdout).toContain('n: Not possible: must be a whole number, not "many".');
    expect(stdout).toContain("There are no tasks yet");
    expect(code).toBe(1);
    const short = await client("fields", ["task quick"]);
    expect([short.code, short.stdout]).toEqual([1, "The input ended before all required fields were given.\n"]);
  });

  test("an unknown command is answered with the known ones", async () => {
    const { stdout, code } = await client("nobody", ["wacth 1", "help"]);
    expect(stdout).toContain('There is no command "wacth"; did you mean `watch`?\nKnown: register, login, task, ');
    expect(stdout).toMatch(/^cancel ID +cancel a task$/m);
    expect(code).toBe(1);
  });

  test("what the server refuses is said in the user's language", async () => {
    const login = ["login", "nobody@example.com", "not the password"];
    expect(await client("nobody", login)).toMatchObject({ code: 1, stdout: "The e-mail or the password is wrong.\n" });
    expect(await client("nobody", login, { LANG: "ru_RU.UTF-8" })).toMatchObject({ stdout: "Почта или пароль неверны.\n" });
    const weak = await client("nobody", ["registr weak@example.com", "12345678"], { LC_ALL: "ru_RU.UTF-8", LANG: "en_US" });
    expect(weak.stdout).toBe("Этот пароль не годится.\n  password: он из тех, что пробуют первыми\n");
  });

  test("a server that is away gives one clear line, and the session stays", async () => {
    await registered("away");
    const port = new URL(url).port;
    const file = join(configOf("away"), "artel/sessions.json");
    const before = readFileSync(file, "utf8");
    const nobodyThere = await place.run(
      ["client", "--server", "http://127.0.0.1:9"],
      { XDG_CONFIG_HOME: configOf("away") },
      "login a@b.c\nx\n",
    );
    expect(nobodyThere).toMatchObject({
      code: 1,
      stdout: "http://127.0.0.1:9 does not answer: the connection was refused.\n",
      stderr: "",
    });
    expect(readFileSync(file, "utf8")).toBe(before);
    expect(before).toContain(`:${port}`);
    // One who is logged in there: of a task that is not known yet it is said that nobody can be asked, not that there is none.
    place.write({ "home-of-gone/artel/sessions.json": before.replaceAll(`:${port}`, ":9") });
    const gone = { XDG_CONFIG_HOME: place.path("home-of-gone") };
    const shown = await place.run(["client", "--server", "http://127.0.0.1:9"], gone, "show 7e34\n");
    expect([shown.code, shown.stderr]).toEqual([1, ""]);
    expect(shown.stdout).toContain("does not answer");
    expect(shown.stdout).not.toContain("There is no task");
  });

  test("keeps the session to the user alone", async () => {
    await registered("alone");
    const folder = join(configOf("alone"), "artel");
    expect([statSync(folder).mode & 0o777, statSync(join(folder, "sessions.json")).mode & 0o777]).toEqual([0o700, 0o600]);
    const { stdout } = await place.run(["task", "list", "--server", url], { XDG_CONFIG_HOME: configOf("alone") });
    expect(stdout).not.toContain("log in");
  });

  test("a wrong language is a wrong call", async () => {
    expect(await place.run(["client", "--lang", "fr"])).toMatchObject({
      code: 2,
      stderr: 'artel: --lang must be one of en, ru, not "fr"\n',
    });
  });
});
