import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { delimiter } from "node:path";
import { lines, Place } from "../support/artel-process.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

let place: Place;
beforeAll(async () => {
  place = await Place.make();
  place.write({ "folder/file": "" });
});
afterAll(() => place[Symbol.asyncDispose]());

/** Runs a script in a shell that finds the executable by its name. @returns the lines that it prints */
async function shell(program: string, ...args: readonly string[]): Promise<string[]> {
  const env = { HOME: place.home, PATH: [place.folder, process.env["PATH"]].join(delimiter) };
  const child = Bun.spawn([program, ...args], { cwd: place.folder, env, stdout: "pipe", stderr: "inherit" });
  const text = await child.stdout.text();
  expect(await child.exited).toBe(0);
  return lines(text);
}

const offered = async (...words: readonly string[]): Promise<string[]> =>
  lines((await place.run(["complete", "--", ...words])).stdout).map((line) => line.split("\t")[0] ?? "");

describe("what can follow", () => {
  test.each([
    [["mig"], ["migrate"]],
    [["isol"], []],
    [
      ["migrate", ""],
      ["up", "down", "status"],
    ],
    [["migrate", "up", ""], []],
    [["help", "ser"], ["serve"]],
    [
      ["serve", "--max"],
      ["--max-queued", "--max-queued-per-user"],
    ],
    [
      ["serve", "--log-level", ""],
      ["debug", "info", "warn", "error"],
    ],
    [["serve", "--durability", "f"], ["full"]],
    [["task", "list", "--ow"], ["--owner"]],
    [["task", "list", "--owner", ""], ["all"]],
    [["serve", "--data", ""], []],
    [["bogus", ""], []],
  ])("%j", async (words, expected) => {
    expect(await offered(...words)).toEqual(expected);
  });

  test("with nothing yet: every command that is shown, with its purpose", async () => {
    const { stdout } = await place.run(["complete", "--", ""]);
    expect(stdout).toContain("serve\tserve the API");
    expect(stdout).not.toMatch(/^(isolate|complete)\t/m);
  });

  test("another shell: 2, and the known ones", async () => {
    const { code, stderr } = await place.run(["completion", "tcsh"]);
    expect([code, stderr]).toEqual([2, "artel: artel completion takes bash, zsh, fish\n"]);
  });
});

describe.skipIf(Bun.which("bash") === null)("bash", () => {
  const complete = async (...words: readonly string[]): Promise<string[]> => {
    const script = `eval "$(artel completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _artel; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return await shell("bash", "-c", script, "bash", "artel", ...words);
  };

  test("completes commands, their words and flags", async () => {
    expect(await complete("ver")).toEqual(["version"]);
    expect(await complete("migrate", "s")).toEqual(["status"]);
    expect(await complete("work", "--q")).toEqual(["--queues"]);
    expect(await complete("serve", "--data", "fol")).toEqual([]);
  });

  test("leaves files to the shell where it knows nothing itself", async () => {
    expect(await shell("bash", "-c", 'eval "$(artel completion bash)"; complete -p artel')).toEqual([
      "complete -o bashdefault -o default -F _artel artel",
    ]);
  });
});

describe.skipIf(Bun.which("fish") === null)("fish", () => {
  test("completes commands and flags", async () => {
    const complete = (line: string) => shell("fish", "-c", `artel completion fish | source; complete -C ${JSON.stringify(line)}`);
    expect((await complete("artel ver")).map((line) => line.split("\t")[0])).toEqual(["version"]);
    expect((await complete("artel work --q")).map((line) => line.split("\t")[0])).toEqual(["--queues"]);
  });
});
