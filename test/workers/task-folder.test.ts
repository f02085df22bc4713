import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadedFiles } from "../../src/workers/task-files.ts";
import { TaskFolder } from "../../src/workers/task-folder.ts";
import { policy } from "../support/core.ts";
import { eventually } from "../support/waiting.ts";

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

const good = (file: string, name = "job"): LoadedFiles["sources"][number] => ({ file, policy: policy(name) });
const broken = (file: string): LoadedFiles["broken"][number] => ({ file, reason: `${file}: no` });

/** A folder that is watched, whose files are what `load` says; `change` has it loaded again. */
async function open(load: () => Promise<LoadedFiles>) {
  const directory = mkdtempSync(join(tmpdir(), "artel-folder-"));
  directories.push(directory);
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line);
  const log = { debug: say, info: say, warn: say, error: say };
  const folder = await TaskFolder.open({ directory, watch: true, load, log });
  folder.start();
  let code = "";
  const change = async (): Promise<void> => {
    code += "x";
    await Bun.write(join(directory, "a.ts"), code);
  };
  return { folder, lines, change };
}

describe("a tasks folder", () => {
  test("a task that moved from one broken file to another is offered once, as it was last", async () => {
    const states: LoadedFiles[] = [
      { sources: [good("a")], broken: [broken("b")] },
      { sources: [good("b")], broken: [broken("a")] },
      { sources: [good("c", "more")], broken: [broken("a"), broken("b")] },
    ];
    const { folder, change } = await open(async () => states.shift() as LoadedFiles);
    let changes = 0;
    folder.watch(() => {
      changes += 1;
    });
    for (const count of [1, 2]) {
      await change();
      await eventually(() => changes === count || undefined, "a change");
    }
    folder.stop();
    expect(folder.offered.map(({ name }) => name)).toEqual(["more", "job"]);
  });

  test("stopped, it waits for no file that hangs, and what comes of it changes nothing more", async () => {
    const { promise: hangs, resolve: goOn } = Promise.withResolvers<LoadedFiles>();
    let loads = 0;
    const { folder, lines, change } = await open(async () => {
      loads += 1;
      return loads === 1 ? { sources: [], broken: [] } : await hangs;
    });
    folder.watch(() => lines.push("changed"));
    await change();
    await eventually(() => loads === 2 || undefined, "the second load");
    expect(folder.stop()).toBeUndefined();
    goOn({ sources: [good("a")], broken: [broken("b")] });
    await new Promise((resolve) => setImmediate(resolve));
    expect([folder.loaded.sources, lines]).toEqual([[], []]);
  });
});
