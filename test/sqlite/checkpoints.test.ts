import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, statSync, symlinkSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Checkpoints } from "../../src/drivers/sqlite/checkpoints.ts";
import { type OpenedDatabase, openDatabase } from "../../src/drivers/sqlite/database.ts";
import { SmallDisk, whyNoDisks } from "../support/disk.ts";
import { eventually, within } from "../support/waiting.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** A database to be filled, on a small disk where one is asked for, and its checkpoints. */
class Scene implements Disposable {
  readonly lines: string[] = [];
  readonly disk: SmallDisk | undefined;
  readonly file: string;
  readonly #resources = new DisposableStack();
  readonly #database: OpenedDatabase;
  readonly #checkpoints: Checkpoints;
  #commits = 0;
  #looked = () => {};

  constructor({ diskKib, boundBytes = 100 * MIB }: { diskKib?: number; boundBytes?: number }) {
    const folder = this.#resources.adopt(mkdtempSync(join(tmpdir(), "artel-checkpoints-")), (path) =>
      rmSync(path, { recursive: true }),
    );
    this.disk = diskKib === undefined ? undefined : this.#resources.use(SmallDisk.mount(join(folder, "disk"), diskKib));
    this.file = join(this.disk?.path ?? folder, "artel.db");
    this.#database = this.#resources.adopt(openDatabase(this.file), (opened) => opened.close());
    this.#database.db.run("CREATE TABLE filler (bytes BLOB)");
    const log = (message: string): void => void this.lines.push(message);
    this.#checkpoints = new Checkpoints(this.#database.db, () => this.#look(), { warn: log, info: log }, boundBytes);
    this.#checkpoints.start();
    this.#resources.defer(() => this.#checkpoints.stop());
  }

  get trouble(): string | undefined {
    return this.#checkpoints.trouble;
  }

  write(bytes: number): void {
    this.#database.db.run("INSERT INTO filler VALUES (zeroblob(?))", [bytes]);
    this.#commits += 1;
  }

  /** Waits until it has found nothing to do, has folded the log back or failed to, and has come round again. */
  async idled(): Promise<void> {
    for (let looks = 0; looks < 3; looks += 1) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#looked = resolve;
      await within(promise, "a look");
    }
  }

  [Symbol.dispose](): void {
    this.#resources.dispose();
  }

  #look(): number {
    this.#looked();
    return this.#commits;
  }
}

test("the log is folded back once nothing else is to do", async () => {
  using scene = new Scene({});
  scene.write(MIB);
  expect(statSync(scene.file).size).toBeLessThan(MIB);
  await scene.idled();
  expect(statSync(scene.file).size).toBeGreaterThan(MIB);
});

test("a folder in which nothing can be looked at any more harms nothing", async () => {
  using scene = new Scene({});
  const folder = dirname(scene.file);
  renameSync(folder, `${folder}-away`);
  // Not that there is none: an error, as without the right to enter it.
  symlinkSync(folder, folder);
  await scene.idled();
  unlinkSync(folder);
  renameSync(`${folder}-away`, folder);
  scene.write(MIB);
  await scene.idled();
  expect(statSync(scene.file).size).toBeGreaterThan(MIB);
});

describe.skipIf(whyNoDisks() !== undefined)("on a full disk", () => {
  test("that fails, harms nothing, and is done once there is room", async () => {
    using scene = new Scene({ diskKib: 4 * KIB });
    scene.write(MIB);
    scene.disk?.fill();
    await scene.idled();
    expect(statSync(scene.file).size).toBeLessThan(MIB);
    scene.disk?.free();
    scene.write(KIB);
    await scene.idled();
    expect(statSync(scene.file).size).toBeGreaterThan(MIB);
  });
});

test("a log that grows because somebody reads for very long is told once, and so is its end", async () => {
  using scene = new Scene({ boundBytes: 70 * MIB });
  scene.write(KIB);
  using reader = new Database(scene.file);
  reader.run("BEGIN");
  reader.query("SELECT count(*) FROM filler").get();
  for (let n = 0; n < 9; n += 1) scene.write(8 * MIB);
  await eventually(() => scene.trouble, "the trouble");
  expect(scene.trouble).toMatch(/write-ahead log has grown to \d+ MiB/);
  reader.run("COMMIT");
  // It folds the log back, and the next write begins it anew.
  await scene.idled();
  scene.write(KIB);
  await eventually(() => (scene.trouble === undefined ? true : undefined), "its end");
  expect(scene.lines).toEqual([expect.stringContaining("has grown to"), "the write-ahead log is short again"]);
});
