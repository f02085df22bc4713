import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { MISHAPS, type Report } from "../support/core-mishaps.ts";

// The preload's limit holds for the first file of a run only.
setDefaultTimeout(30_000);

let report: Report;
beforeAll(async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "../support/core-mishaps.ts")], {
    stdout: "pipe",
    stderr: "pipe",
    stdin: "ignore",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`exit code ${code}: ${err}`);
  report = JSON.parse(out.trim().split("\n").at(-1) ?? "");
});

describe("what goes wrong behind a task's back fails it, and none of its neighbours", () => {
  for (const name of Object.keys(MISHAPS)) {
    test(name, () => {
      const fate = report.fates[name];
      expect(fate).toMatchObject({
        status: "failed",
        attempt: 1,
        code: name.startsWith("exit") || name === "abort" ? "process_exit" : "error",
      });
      expect(fate?.neighbours).toHaveLength(2);
      for (const neighbour of fate?.neighbours ?? [])
        expect(neighbour).toMatchObject({ status: "done", attempt: 1, result: '"well"' });
    });
  }

  test("an error of a task that has ended is nobody else's, even where the stack names the only one that runs", () => {
    expect(report.innocent).toMatchObject({ status: "done", attempt: 1 });
  });

  test("the thread lives through all of it", () => {
    expect(report.lines.filter((line) => line.includes("thread"))).toEqual([]);
  });
});
