import { afterEach, describe, expect, test } from "bun:test";
import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { Terminal as Emulator } from "@xterm/headless";
import fc from "fast-check";
import { InputEnded, Interrupted } from "../../src/cli/client/screen.ts";
import { placeOf, sharedStart, TerminalScreen } from "../../src/cli/client/terminal-screen.ts";
import { KEYS } from "../support/terminal.ts";

/** A screen on streams of its own, with an emulator that shows what a terminal would. */
class Bench extends EventEmitter {
  readonly input = new PassThrough();
  readonly screen: TerminalScreen;
  readonly #emulator: Emulator;

  constructor(
    public columns = 40,
    public rows = 12,
  ) {
    super();
    this.#emulator = new Emulator({ cols: columns, rows, allowProposedApi: true });
    this.screen = new TerminalScreen(this.input, this, { styled: false, dumb: false });
  }

  write(text: string): void {
    this.#emulator.write(text);
  }

  /** readline reads on the next turn of the loop. */
  async type(text: string): Promise<void> {
    this.input.write(text);
    await Bun.sleep(0);
    await Bun.sleep(0);
  }

  resize(columns: number): void {
    this.columns = columns;
    this.#emulator.resize(columns, this.rows);
    this.emit("resize");
  }

  /** What the terminal shows, once it has taken all that was written. */
  async lines(): Promise<string[]> {
    await new Promise<void>((resolve) => this.#emulator.write("", resolve));
    const { active } = this.#emulator.buffer;
    const all = Array.from({ length: active.length }, (_, i) => active.getLine(i)?.translateToString().trimEnd() ?? "");
    while (all.at(-1) === "") all.pop();
    return all;
  }

  async cursor(): Promise<{ row: number; column: number }> {
    await this.lines();
    const { cursorX, cursorY, baseY } = this.#emulator.buffer.active;
    return { row: baseY + cursorY, column: cursorX };
  }
}

let bench: Bench;
const open = (columns?: number, rows?: number): TerminalScreen => {
  bench = new Bench(columns, rows);
  return bench.screen;
};
afterEach(() => bench.screen.close());

/** What a question rejects with; asked for before that happens. */
const rejection = (asked: Promise<string>): Promise<unknown> =>
  asked.then(
    (line) => `answered: ${line}`,
    (error: unknown) => error,
  );

describe("the line that is typed into", () => {
  test("stays whole below what is printed and what stands in the panel, at any length and cursor", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 8, max: 30 }),
        fc.string({ unit: fc.constantFrom("a", "b", "я", "全", "é"), maxLength: 70 }),
        fc.nat({ max: 20 }),
        fc.array(fc.oneof(fc.constant("print"), fc.nat({ max: 3 })), { minLength: 1, maxLength: 5 }),
        async (columns, text, back, happenings) => {
          const screen = open(columns, 40);
          const asked = rejection(screen.ask({ prompt: "> " }));
          await bench.type(text + KEYS.left.repeat(Math.min(back, text.length)));
          const told: string[] = [];
          for (const what of happenings) {
            if (typeof what === "number") screen.panel(Array.from({ length: what }, (_, i) => `panel ${i} ${"x".repeat(40)}`));
            else screen.print(told[told.push(`told ${told.length}`) - 1] ?? "");
          }
          const lines = await bench.lines();
          const printed = told.length;
          expect(lines.slice(0, printed)).toEqual(told);
          const foot = lines.slice(printed).filter((line) => !line.startsWith("panel"));
          expect(foot.join("")).toBe(`> ${text}`.trimEnd());
          const at = text.slice(0, text.length - Math.min(back, text.length));
          const { row, column } = await bench.cursor();
          const place = placeOf(`> ${at}`, columns);
          expect({ row: row - (lines.length - foot.length), column }).toEqual({ row: place.rows, column: place.column });
          await bench.type(KEYS.enter);
          expect(await asked).toBe(`answered: ${text}`);
          bench.screen.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  test("stays in the scrollback once it is entered, and the panel that stood above it does not", async () => {
    const screen = open();
    screen.panel(["running"]);
    const asked = screen.ask({ prompt: "> ", command: true });
    await bench.type(`help${KEYS.enter}`);
    await asked;
    screen.print("one");
    void rejection(screen.ask({ prompt: "> " }));
    screen.panel([]);
    expect(await bench.lines()).toEqual(["> help", "one", ">"]);
  });

  test("is there again after the terminal has become narrower", async () => {
    const screen = open(40, 20);
    void rejection(screen.ask({ prompt: "> " }));
    screen.panel(["p".repeat(38)]);
    await bench.type("some words that were typed");
    bench.resize(20);
    screen.print("told");
    const lines = await bench.lines();
    expect(lines.filter((line) => line !== "")).toEqual(["told", `${"p".repeat(18)}…`, "> some words that we", "re typed"]);
  });
});

describe("a question", () => {
  test("that is hidden shows nothing of what is typed, whatever comes meanwhile", async () => {
    const screen = open();
    const asked = screen.ask({ prompt: "Password: ", hidden: true });
    await bench.type("sec");
    screen.print("told");
    await bench.type("ret");
    expect(await bench.lines()).toEqual(["told", "Password:"]);
    await bench.type(KEYS.enter);
    expect(await asked).toBe("secret");
  });

  test("does not offer answers to others, nor earlier commands", async () => {
    const screen = open();
    const command = screen.ask({ prompt: "> ", command: true });
    await bench.type(`first${KEYS.enter}`);
    await command;
    const field = screen.ask({ prompt: "field: " });
    await bench.type(`${KEYS.up}private${KEYS.enter}`);
    expect(await field).toBe("private");
    const next = screen.ask({ prompt: "> ", command: true });
    await bench.type(`${KEYS.up}${KEYS.enter}`);
    expect(await next).toBe("first");
  });

  test("that is given up by Ctrl-C rejects; a command that is typed is cleared first", async () => {
    const screen = open();
    const command = screen.ask({ prompt: "> ", command: true });
    await bench.type(`half${KEYS.ctrlC}`);
    expect(await bench.lines()).toEqual(["> half^C", ">"]);
    const left = rejection(command);
    await bench.type(KEYS.ctrlC);
    expect(await left).toBeInstanceOf(Interrupted);
    const field = rejection(screen.ask({ prompt: "field: " }));
    await bench.type(`half${KEYS.ctrlC}`);
    expect(await field).toBeInstanceOf(Interrupted);
  });

  test("can be taken back; what was typed is there for the next one", async () => {
    const screen = open();
    const over = new AbortController();
    const first = rejection(screen.ask({ prompt: "Enter ", signal: over.signal }));
    await bench.type("hel");
    over.abort(new Error("over"));
    expect(await first).toEqual(new Error("over"));
    const second = screen.ask({ prompt: "> " });
    await bench.type(`p${KEYS.enter}`);
    expect(await second).toBe("help");
  });

  test("gets what was typed ahead, line by line", async () => {
    const screen = open();
    await bench.type(`one${KEYS.enter}two${KEYS.enter}th`);
    expect([await screen.ask({ prompt: "1 " }), await screen.ask({ prompt: "2 " })]).toEqual(["one", "two"]);
    const third = screen.ask({ prompt: "3 " });
    expect(await bench.lines()).toEqual(["1 one", "2 two", "3 th"]);
    await bench.type(`ree${KEYS.enter}`);
    expect(await third).toBe("three");
  });

  test("ends with the screen, and none can be asked after it", async () => {
    const screen = open();
    const asked = rejection(screen.ask({ prompt: "> " }));
    screen.close();
    expect(await asked).toBeInstanceOf(InputEnded);
    expect(await rejection(screen.ask({ prompt: "> " }))).toBeInstanceOf(InputEnded);
  });

  test("is completed by Tab: whole words, what they share, and a list above the line", async () => {
    const screen = open();
    const complete = (): string[] => ["task", "tasks", "watch"];
    const asked = screen.ask({ prompt: "> ", command: true, complete });
    await bench.type(`w${KEYS.tab}`);
    await bench.type(`x ta${KEYS.tab}`);
    await bench.type(KEYS.tab);
    expect(await bench.lines()).toEqual(["task  tasks", "> watch x task"]);
    await bench.type(KEYS.enter);
    expect(await asked).toBe("watch x task");
  });
});

test("what words share is their start", () => {
  expect([sharedStart(["task", "tasks", "tar"]), sharedStart(["a", "b"]), sharedStart([])]).toEqual(["ta", "", ""]);
});
