import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LIMIT_MS, within } from "../support/waiting.ts";
import { type CpuProfile, selfTimes } from "./profile-times.ts";

test(
  "bun run profile leaves a profile that tells where the server's time went",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "artel-profile-"));
    const args = [join(import.meta.dir, "profile.ts"), "progress", "--scale", "0.01", "--out", folder];
    const child = Bun.spawn([process.execPath, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const told = await within(child.stdout.text(), "the end of the profile", undefined, LIMIT_MS);
      expect(await child.exited).toBe(0);
      const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".cpuprofile"));
      expect(files).not.toBeEmpty();
      for (const file of files) expect(told).toContain(file);
      const profile = JSON.parse(readFileSync(join(folder, files[0] ?? ""), "utf8")) as CpuProfile;
      // By name and place, as only the sources have them.
      const places = selfTimes(profile, join(import.meta.dir, "../..")).map(({ where }) => where);
      expect(places.some((where) => where.startsWith("src/"))).toBe(true);
    } finally {
      child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    }
  },
  LIMIT_MS,
);

test("self times: by function and place, the longest first, without the time in which the thread waited", () => {
  const frame = (functionName: string, url: string, lineNumber: number) => ({ functionName, url, lineNumber });
  const profile: CpuProfile = {
    nodes: [
      { id: 1, callFrame: frame("(root)", "", -1) },
      { id: 2, callFrame: frame("insert", "file:///app/src/a.ts", 9) },
      { id: 3, callFrame: frame("insert", "file:///app/src/a.ts", 9) },
      { id: 4, callFrame: frame("", "", -1) },
      { id: 5, callFrame: frame("(idle)", "", -1) },
    ],
    samples: [2, 5, 4, 3, 3],
    timeDeltas: [1_000, 9_000, 1_000, 1_000, 90_000],
  };
  expect(selfTimes(profile, "/app")).toEqual([
    { what: "insert", where: "src/a.ts:10", ms: 4 },
    { what: "(anonymous)", where: "", ms: 1 },
  ]);
});
