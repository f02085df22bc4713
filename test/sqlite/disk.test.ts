import { describe, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Unavailable } from "../../src/domain/errors.ts";
import { Disk } from "../../src/drivers/sqlite/disk.ts";

function scene() {
  const folder = mkdtempSync(join(tmpdir(), "artel-disk-"));
  const file = join(folder, "artel.db");
  writeFileSync(file, "a");
  writeFileSync(`${file}-wal`, "b");
  const lines: string[] = [];
  const log = (message: string): void => void lines.push(message);
  const disk = new Disk(file, { error: log, info: log });
  return { disk, file, lines, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

const fails = (code: string): never => {
  throw Object.assign(new Error(code), { code });
};
const refusal = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

describe("the disk", () => {
  test("has its trouble told once, and the end of it once", () => {
    using at = scene();
    for (let n = 0; n < 3; n += 1) {
      expect(refusal(() => at.disk.store(() => fails("SQLITE_FULL")))).toBeInstanceOf(Unavailable);
      expect(at.disk.trouble).toBe("SQLITE_FULL");
    }
    for (let n = 0; n < 3; n += 1) expect(at.disk.store(() => n)).toBe(n);
    expect([at.disk.trouble, at.lines]).toEqual([undefined, ["nothing can be stored", "everything can be stored again"]]);
  });

  test("has no trouble with what the work itself throws", () => {
    using at = scene();
    const own = refusal(() => at.disk.store(() => fails("SQLITE_CONSTRAINT")));
    expect([own, at.disk.trouble, at.lines]).toEqual([expect.objectContaining({ code: "SQLITE_CONSTRAINT" }), undefined, []]);
  });

  test.each(["artel.db", "artel.db-wal"])("takes nothing while %s is not where it was, or another", (name) => {
    using at = scene();
    const path = at.file.replace("artel.db", name);
    let stored = 0;
    const store = (): unknown => refusal(() => at.disk.store(() => (stored += 1)));
    renameSync(path, `${path}.away`);
    expect(store()).toBeInstanceOf(Unavailable);
    writeFileSync(path, "c");
    expect(store()).toBeInstanceOf(Unavailable);
    expect([stored, at.disk.trouble]).toEqual([0, expect.stringContaining(path)]);
    renameSync(`${path}.away`, path);
    expect([store(), at.disk.trouble]).toEqual([1, undefined]);
  });
});
