import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { executable } from "../support/executable.ts";
import { LIMIT_MS, within } from "../support/waiting.ts";
import { missingFor } from "./make.ts";
import { SCENARIOS } from "./scenarios.ts";
import type { Result } from "./table.ts";

setDefaultTimeout(LIMIT_MS);

/** So small that a scenario takes a second: its figures say nothing, and it must give them all the same. */
const SMALL = ["--rounds", "1", "--scale", "0.001"];

async function bench(...args: readonly string[]): Promise<string> {
  await executable();
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "run.ts"), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  try {
    const [out, complaints, code] = await within(
      Promise.all([child.stdout.text(), child.stderr.text(), child.exited]),
      "the end of the benchmark",
      undefined,
      LIMIT_MS,
    );
    expect({ complaints, code }).toEqual({ complaints: "", code: 0 });
    return out;
  } finally {
    child.kill("SIGKILL");
  }
}

describe("bun run bench", () => {
  for (const [name, { needs = [] }] of Object.entries(SCENARIOS)) {
    test.skipIf(missingFor(needs) !== undefined)(name, async () => {
      const { results } = JSON.parse(await bench(name, ...SMALL, "--json")) as { results: readonly Result[] };
      expect(results.length).toBeGreaterThan(0);
      const names = results.map((result) => result.name);
      for (const { median, of, ratio, scenario } of results) {
        expect(scenario).toBe(name);
        expect(median).toBeFinite();
        // What a figure is put in relation to was measured in the same run.
        if (of !== undefined) expect(names).toContain(of);
        expect(ratio === undefined).toBe(of === undefined);
      }
    });
  }

  test.skipIf(missingFor(["redis"]) !== undefined)("--redis puts the servers on Redis", async () => {
    expect(await bench("progress", ...SMALL, "--redis")).toContain("redis where the name says nothing");
  });

  test("--list says what there is", async () => {
    const lines = (await bench("--list")).trim().split("\n");
    expect(lines.map((line) => line.split(" ")[0] ?? "")).toEqual(Object.keys(SCENARIOS));
  });
});
