/** `artel client` in a real terminal: what its screen shows while things happen. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { placeOf } from "../../src/cli/client/terminal-screen.ts";
import { Place, type Served } from "../support/artel-process.ts";
import { Client, call } from "../support/e2e-client.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { broughtBack, KEYS, Terminal, type TerminalOptions } from "../support/terminal.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const PASSWORD = "correct horse battery";
let place: Place;
let served: Served;

beforeAll(async () => {
  place = await Place.make();
  place.write(TASKS);
  served = await place.serve(["--tasks", "tasks", "--threads", "1"]);
});
afterAll(() => place[Symbol.asyncDispose]());

const configOf = (user: string): string => join(place.home, user);

function open(user: string, options: TerminalOptions = {}, url = served.url): Terminal {
  const env = { HOME: place.home, XDG_CONFIG_HOME: configOf(user), LANG: "C.UTF-8", ...options.env };
  return new Terminal([place.program, "client", "--server", url], { ...options, cwd: place.folder, env });
}

/** Types a line once it is asked for. */
async function answer(terminal: Terminal, question: RegExp, line: string): Promise<void> {
  await terminal.asks(question);
  terminal.type(`${line}${KEYS.enter}`);
}

/** A terminal with an account that is logged in, and the same account over HTTP. */
async function loggedIn(
  user: string,
  options: TerminalOptions = {},
  url = served.url,
): Promise<{ terminal: Terminal; ada: Client }> {
  const ada = await Client.register(url, user);
  const terminal = open(user, options, url);
  await answer(terminal, /^artel>$/, `login ${ada.email}`);
  await answer(terminal, /^(Password|Пароль):$/, PASSWORD);
  await terminal.shows(/^(Logged in as|Вход выполнен)/);
  await terminal.asks(/^artel>$/);
  return { terminal, ada };
}

const count = (lines: readonly string[], pattern: RegExp): number => lines.filter((line) => pattern.test(line)).length;

describe.concurrent("a terminal", () => {
  test("three notices come above a half-typed line that is longer than the terminal is wide; it stays whole, with its cursor", async () => {
    const { terminal, ada } = await loggedIn("half", { columns: 60 });
    await using _ = terminal;
    const half = `a line that is longer than this terminal is wide, ${"x".repeat(60)}, and goes on`;
    terminal.type(half + KEYS.left.repeat(2));
    // The line begins in a row of its own; the cursor stands two characters before its end.
    const place = placeOf(`artel> ${half.slice(0, -2)}`, 60);
    const isWhole = (lines: readonly string[]): boolean => {
      const { row, column } = terminal.cursor;
      const begins = lines.findLastIndex((line) => line.startsWith("artel> a line"));
      return lines.join("").endsWith(`artel> ${half}`) && row - begins === place.rows && column === place.column;
    };
    await terminal.until(isWhole, "the line with its cursor");
    await ada.submit("quick", { n: 1 });
    await terminal.until(
      (lines) => count(lines, /quick {2}(· queued|▸ in progress|✓ done)$/) === 3 && isWhole(lines),
      "three notices, and the line below them with its cursor",
    );
    terminal.type(`ZZ${KEYS.enter}`);
    await terminal.until(
      (lines) => lines.join("").includes(`artel> ${half.slice(0, -2)}ZZ${half.slice(-2)}There is no command "a"`),
      "the finished line",
    );
    expect(count(terminal.lines, /artel> a line/)).toBe(1);
  });

  test("a notice comes while a password is typed, which is never shown", async () => {
    const { terminal, ada } = await loggedIn("hidden");
    await using _ = terminal;
    await answer(terminal, /^artel>$/, `login ${ada.email}`);
    await terminal.asks(/^Password:$/);
    terminal.type(PASSWORD.slice(0, 9));
    await ada.submit("quick", { n: 1 });
    await terminal.until(
      (lines) => count(lines, /✓ done$/) === 1 && lines.at(-1) === "Password:",
      "the question below the notice",
    );
    terminal.type(`${PASSWORD.slice(9)}${KEYS.enter}`);
    await terminal.until((lines) => count(lines, /^Logged in as/) === 2, "the second login");
    expect(terminal.written).not.toContain("horse");
    await terminal.asks(/^artel>$/);
    terminal.type(`${KEYS.up}`);
    await terminal.asks(/^artel> login hidden@example.com$/);
  });

  test("a hidden question is asked on after Ctrl-Z and fg", async () => {
    const command = broughtBack([place.program, "client", "--server", served.url]);
    const env = { HOME: place.home, XDG_CONFIG_HOME: configOf("stopped"), LANG: "C.UTF-8" };
    await using terminal = new Terminal(command, { cwd: place.folder, env });
    await Client.register(served.url, "stopped");
    await answer(terminal, /^artel>$/, "login stopped@example.com");
    await terminal.asks(/^Password:$/);
    terminal.type(KEYS.ctrlZ);
    await terminal.until((all) => count(all, /^Password:/) === 2, "the question again");
    await answer(terminal, /^Password:$/, PASSWORD);
    await terminal.shows(/^Logged in as/);
    expect(terminal.written).not.toContain("horse");
  });

  test("a task's fields are asked one by one; Ctrl-C gives them up; Tab completes; answers are not remembered", async () => {
    const { terminal } = await loggedIn("form");
    await using _ = terminal;
    terminal.type(`ta${KEYS.tab}`);
    await terminal.asks(/^artel> task$/);
    terminal.type(` ga${KEYS.tab}`);
    await terminal.asks(/^artel> task gated$/);
    terminal.type(KEYS.enter);
    await terminal.asks(/^gate:$/);
    terminal.type(`abc${KEYS.ctrlC}`);
    await terminal.shows(/^gate: abc\^C$/);
    await answer(terminal, /^artel>$/, "task");
    await answer(terminal, /^Task, by number or name:$/, "nothing");
    await answer(terminal, /^Task, by number or name:$/, "quick");
    await answer(terminal, /^n:$/, "");
    await terminal.shows(/^This field is required.$/);
    await answer(terminal, /^n:$/, "much");
    await terminal.shows(/^Not possible: must be a whole number, not "much".$/);
    await answer(terminal, /^n:$/, "21");
    await terminal.shows(/✓ done$/);
    await answer(terminal, /^artel>$/, "show");
    await answer(terminal, /^ID \[[0-9a-f]{8}\]:$/, "");
    await terminal.shows(/^42$/);
    terminal.type(KEYS.ctrlD);
    expect(await terminal.exited).toBe(0);
    const history = join(configOf("form"), "artel/history");
    expect(readFileSync(history, "utf8").split("\n")).toEqual(["login form@example.com", "task gated", "task", "show", ""]);
    expect(statSync(history).mode & 0o777).toBe(0o600);
  });

  test("watch and tasks show progress in place, and Enter goes back", async () => {
    const { terminal, ada } = await loggedIn("live");
    await using _ = terminal;
    const id = await ada.submit("slow", { ms: 60_000 });
    await terminal.shows(/▸ in progress {2}▰▰▰▰▰▱▱▱▱▱ {2}50% {2}half way$/);
    await answer(terminal, /^artel>$/, "tasks");
    await answer(terminal, /^Enter goes back$/, "");
    await answer(terminal, /^artel>$/, `watch ${id.slice(-8)}`);
    await terminal.asks(/^Enter goes back$/);
    await ada.cancel(id);
    // Once told, and once as the end that was watched; what is left of the progress is what `tasks` showed when it was left.
    await terminal.until((lines) => count(lines, /✗ cancelled/) === 2 && lines.at(-1) === "artel>", "the end");
    expect(count(terminal.lines, /▰/)).toBe(1);
    // That a cancel was asked for is a change that shows nothing new.
    expect(count(terminal.lines, /^\d\d:\d\d:\d\d \S+ {2}slow {2}▸/)).toBe(1);
  });

  test("watch says at once and later why a task is queued, a pipe after a while", async () => {
    const own = await place.serve(["--tasks", "tasks", "--threads", "0", "--data", "idle"]);
    const { terminal, ada } = await loggedIn("idle", {}, own.url);
    await using _ = terminal;
    const id = await ada.submit("gated", { gate: "open-idle" });
    await answer(terminal, /^artel>$/, `watch ${id.slice(-8)}`);
    await terminal.shows(/^[0-9a-f]{8} {2}gated {2}· queued {2}no worker is there$/);
    const env = { XDG_CONFIG_HOME: configOf("idle") };
    const piped = place.start(["client", "--server", own.url], env, [], `watch ${id}\n`);
    await piped.until(() => (piped.stdout.includes("· queued  no worker is there\n") ? true : undefined), "why");
    await ada.cancel(id);
    await terminal.until((lines) => count(lines, /✗ cancelled/) === 2 && lines.at(-1) === "artel>", "the end");
    expect(count(terminal.lines, /no worker/)).toBe(0);
    expect((await piped.ended).stdout.match(/no worker/g)).toHaveLength(1);
  });

  test("Russian in a narrow terminal", async () => {
    const { terminal, ada } = await loggedIn("narrow", { columns: 30, env: { LANG: "ru_RU.UTF-8" } });
    await using _ = terminal;
    await ada.submit("quick", { n: 1 });
    await terminal.shows(/^[0-9a-f]{8} quick ✓ готова$/);
    await answer(terminal, /^artel>$/, "нечто");
    await terminal.shows(/^Нет команды «нечто»$/);
    expect(terminal.lines.every((line) => Bun.stringWidth(line) <= 30)).toBe(true);
  });

  test.each([
    ["Ctrl-C on an empty line", KEYS.ctrlC, undefined],
    ["Ctrl-C twice", `half${KEYS.ctrlC}${KEYS.ctrlC}`, undefined],
    ["Ctrl-D", KEYS.ctrlD, undefined],
    ["SIGTERM while a password is asked", `login a@b.c${KEYS.enter}`, "SIGTERM"],
    ["SIGHUP while something is typed", "half", "SIGHUP"],
  ] as const)("%s leaves with 0, and the terminal as it was", async (name, keys, signal) => {
    await using terminal = open(name);
    await terminal.asks(/^artel>$/);
    expect(terminal.echoes).toBe(false);
    terminal.type(keys);
    if (signal !== undefined) {
      await terminal.asks(/^(Password:|artel> half)$/);
      terminal.signal(signal);
    }
    expect(await terminal.exited).toBe(0);
    expect(terminal.echoes).toBe(true);
  });

  test("a terminal that knows no escape codes gets none", async () => {
    const { terminal, ada } = await loggedIn("dumb", { env: { TERM: "dumb" } });
    await using _ = terminal;
    terminal.type("hel");
    await ada.submit("quick", { n: 1 });
    await terminal.shows(/✓ done$/);
    terminal.type(`p${KEYS.enter}`);
    await terminal.shows(/^exit +leave; tasks go on$/);
    expect(terminal.written).not.toContain("\x1b");
    expect(terminal.written).not.toContain(PASSWORD);
  });

  test("a session that ends elsewhere is said, and a command says what to do", async () => {
    const { terminal } = await loggedIn("elsewhere");
    await using _ = terminal;
    const book = JSON.parse(readFileSync(join(configOf("elsewhere"), "artel/sessions.json"), "utf8")) as Record<
      string,
      { access_token: string }
    >;
    await call("POST", `${served.url}/auth/logout`, { token: book[served.url]?.access_token ?? "" });
    await terminal.shows(/^The session has ended/);
    await answer(terminal, /^artel>$/, "tasks");
    await terminal.shows(/^Nobody is logged in/);
  });
});

describe.concurrent("a server that goes away", () => {
  const others = ["--tasks", "tasks", "--threads", "1"];

  test("is said once, as its return is; what happened meanwhile is told, nothing twice", async () => {
    const first = await place.serve([...others, "--data", "lost"]);
    const { terminal, ada } = await loggedIn("lost", { rows: 40 }, first.url);
    await using _ = terminal;
    const id = await ada.submit("gated", { gate: "open-lost" });
    await terminal.shows(/gated {2}▸ in progress$/);
    terminal.type("half a li");
    await terminal.asks(/^artel> half a li$/);
    // The client sleeps until all has happened, so that nothing of it can come to it live.
    terminal.signal("SIGSTOP");
    await first.process.end("SIGKILL");
    place.write({ "open-lost": "" });
    await place.serve([...others, "--data", "lost", "--port", new URL(first.url).port]);
    await eventually(async () => ((await ada.task(id)).status === "done" ? true : undefined), "the end of the task");
    terminal.signal("SIGCONT");
    await terminal.shows(/gated {2}✓ done$/);
    await terminal.asks(/^artel> half a li$/);
    expect(count(terminal.lines, /^Connection lost/)).toBe(1);
    expect(count(terminal.lines, /^Connected again/)).toBe(1);
    expect(count(terminal.lines, /✓ done$/)).toBe(1);
  });

  test("and comes back with an older database: the lists are loaded again", async () => {
    const first = await place.serve([...others, "--data", "older"]);
    const { terminal, ada } = await loggedIn("older", {}, first.url);
    await using _ = terminal;
    await first.process.end();
    cpSync(place.path("older"), place.path("older.copy"), { recursive: true });
    const port = new URL(first.url).port;
    const second = await place.serve([...others, "--data", "older", "--port", port]);
    await terminal.shows(/^Connected again/);
    await ada.submit("quick", { n: 1 });
    await terminal.shows(/✓ done$/);
    await second.process.end();
    rmSync(place.path("older"), { recursive: true });
    cpSync(place.path("older.copy"), place.path("older"), { recursive: true });
    await place.serve([...others, "--data", "older", "--port", port]);
    await terminal.shows(/^The server has started over/);
    await answer(terminal, /^artel>$/, "tasks");
    await terminal.shows(/^There are no tasks yet/);
  });
});
