import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { migrate as drizzleMigrate } from "drizzle-orm/bun-sqlite/migrator";
import { StartupError } from "../../src/domain/errors.ts";
import { migrateDown, migrateUp, migrationStatus } from "../../src/drivers/sqlite/migrate.ts";
import { assertGrowing, type Migration, migrations } from "../../src/drivers/sqlite/migrations.ts";
import { SmallDisk, whyNoDisks } from "../support/disk.ts";
import { history } from "../support/migration-history.ts";

const ROOT = join(import.meta.dir, "../..");

let folder: string;
let file: string;
const opened: Database[] = [];

function open(path = file): Database {
  const db = new Database(path);
  opened.push(db);
  db.run("PRAGMA foreign_keys = ON");
  return db;
}

const schema = (db: Database) =>
  db
    .query<{ type: string; name: string; sql: string | null }, []>(
      "SELECT type, name, sql FROM sqlite_master WHERE tbl_name <> '__drizzle_migrations' ORDER BY type, name",
    )
    .all();
/** The schema as far as it matters: a rebuilt table is quoted otherwise. */
const structure = (db: Database) => schema(db).map(({ sql, ...rest }) => ({ ...rest, sql: sql?.replace(/["`\s]/g, "") }));
const names = () => readdirSync(folder).sort();
const applied = (db: Database) => migrationStatus(db, history).flatMap((state) => (state.applied ? [state.tag] : []));

function refusal(action: () => unknown): StartupError {
  try {
    action();
  } catch (error) {
    if (error instanceof StartupError) return error;
    throw error;
  }
  throw new Error("expected a StartupError");
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "artel-migrate-"));
  file = join(folder, "artel.db");
});

afterEach(() => {
  for (const db of opened.splice(0)) db.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("the migrations of this build", () => {
  test("are what the drizzle folder holds, with a way back each", () => {
    const { entries } = JSON.parse(readFileSync(join(ROOT, "drizzle/meta/_journal.json"), "utf8"));
    expect(migrations.map(({ tag, when }) => ({ tag, when }))).toEqual(
      entries.map(({ tag, when }: { tag: string; when: number }) => ({ tag, when })),
    );
    for (const { up, down } of migrations) expect([up.length > 0, down.length > 0]).toEqual([true, true]);
  });

  test("make the schema that drizzle-orm's migrator makes, and it takes over from ours", () => {
    const db = open();
    migrateUp(db);
    const other = open(join(folder, "other.db"));
    drizzleMigrate(drizzle(other), { migrationsFolder: join(ROOT, "drizzle") });
    expect(schema(db)).toEqual(schema(other));

    const books = "SELECT hash, created_at FROM __drizzle_migrations ORDER BY created_at";
    expect(db.query(books).all()).toEqual(other.query(books).all());
    drizzleMigrate(drizzle(db), { migrationsFolder: join(ROOT, "drizzle") });
    expect(migrateUp(other).tags).toEqual([]);
  });

  test("go down one by one, each to the schema that was there before, and up again", () => {
    const db = open();
    const steps = [structure(db)];
    for (const { tag } of migrations) {
      migrateUp(db, { to: tag });
      steps.push(structure(db));
    }
    db.run("INSERT INTO meta (key, value) VALUES ('epoch', 'e')");
    for (const { tag } of [...migrations].reverse()) {
      expect(structure(db)).toEqual(steps.pop() ?? []);
      expect(migrateDown(db).tags).toEqual([tag]);
    }
    expect(schema(db)).toEqual([]);
    migrateUp(db);
    expect(migrationStatus(db).every((state) => state.applied)).toBe(true);
  });

  test("have stamps that grow", () => {
    expect(() => assertGrowing(history)).not.toThrow();
    expect(() => assertGrowing([...history].reverse())).toThrow("0001_second is stamped no later than 0002_third");
  });
});

describe("up and down", () => {
  test("rows survive a rebuilt table, a way back and forth again", () => {
    const db = open();
    expect(migrateUp(db, { migrations: history, to: "0000_first" })).toEqual({ tags: ["0000_first"], copy: null });
    db.run("INSERT INTO parent VALUES (1, 'one'), (2, NULL)");
    db.run("INSERT INTO child VALUES (10, 1), (20, 2)");

    expect(migrateUp(db, { migrations: history }).tags).toEqual(["0001_second", "0002_third"]);
    const full = schema(db);
    expect(migrateDown(db, 2, { migrations: history }).tags).toEqual(["0002_third", "0001_second"]);
    expect(applied(db)).toEqual(["0000_first"]);
    migrateUp(db, { migrations: history });
    expect(schema(db)).toEqual(full);
    expect(db.query("SELECT n, name FROM parent ORDER BY n").values()).toEqual([
      [1, "one"],
      [2, ""],
    ]);
    expect(db.query("SELECT n, parent FROM child ORDER BY n").values()).toEqual([
      [10, 1],
      [20, 2],
    ]);
    expect(db.query("PRAGMA foreign_keys").get()).toEqual({ foreign_keys: 1 });
  });

  test("nothing pending changes and copies nothing; an unknown tag is refused", () => {
    const db = open();
    migrateUp(db, { migrations: history });
    expect(migrateUp(db, { migrations: history })).toEqual({ tags: [], copy: null });
    expect(migrateUp(db, { migrations: history, to: "0000_first" }).tags).toEqual([]);
    expect(refusal(() => migrateUp(db, { migrations: history, to: "0009_no" })).code).toBe("migration_unknown");
    expect(names()).toEqual(["artel.db"]);
  });

  test("status changes nothing, also in a new file", () => {
    const db = open();
    expect(migrationStatus(db, history).map((state) => state.applied)).toEqual([false, false, false]);
    expect(schema(db)).toEqual([]);
  });
});

describe("the copy aside", () => {
  test("holds what was committed, the WAL included, with the file's mode; an earlier one is kept", () => {
    const db = open();
    db.run("PRAGMA journal_mode = WAL");
    db.run("PRAGMA wal_autocheckpoint = 0");
    migrateUp(db, { migrations: history, to: "0000_first" });
    db.run("INSERT INTO parent VALUES (1, 'kept')");
    writeFileSync(`${file}.before-0001_second`, "an earlier copy");

    const { copy } = migrateUp(db, { migrations: history });
    expect(copy).toBe(`${file}.before-0001_second.2`);
    expect(readFileSync(`${file}.before-0001_second`, "utf8")).toBe("an earlier copy");
    expect(statSync(copy ?? "").mode).toBe(statSync(file).mode);
    const old = open(copy ?? "");
    expect(old.query("SELECT name FROM parent").values()).toEqual([["kept"]]);
    expect(applied(old)).toEqual(["0000_first"]);
    expect(names().filter((name) => name.endsWith("unfinished"))).toEqual([]);
  });

  test("is made before a way back too, which loses what was in it", () => {
    const db = open();
    migrateUp(db, { migrations: history });
    db.run("INSERT INTO parent VALUES (1, 'one')");
    db.run("INSERT INTO child VALUES (10, 1, 'noted')");
    const { copy } = migrateDown(db, 1, { migrations: history });
    expect(copy).toBe(`${file}.before-0002_third-down`);
    expect(
      open(copy ?? "")
        .query("SELECT note FROM child")
        .values(),
    ).toEqual([["noted"]]);
    expect(migrateDown(db, 9, { migrations: history }).tags).toHaveLength(2);
    expect(migrateDown(db, 1, { migrations: history })).toEqual({ tags: [], copy: null });
    const bad = history.map((each, n) => (n === 0 ? { ...each, down: ["SELECT nonsense"] } : each));
    migrateUp(db, { migrations: bad, to: "0000_first" });
    const before = names();
    expect(refusal(() => migrateDown(db, 1, { migrations: bad })).code).toBe("migration_failed");
    expect(names()).toEqual(before);
  });

  test("does not stay when the first migration fails", () => {
    const db = open();
    migrateUp(db, { migrations: history, to: "0001_second" });
    const bad = [...history.slice(0, 2), { ...history[2], up: ["SELECT nonsense"] } as Migration];
    expect(refusal(() => migrateUp(db, { migrations: bad })).code).toBe("migration_failed");
    expect(names()).toEqual(["artel.db"]);
  });

  test("one that cannot be made stops the migration", () => {
    const db = open();
    migrateUp(db, { migrations: history, to: "0000_first" });
    const before = schema(db);
    // The copy is named after the tag: this one leads into a folder that does not exist.
    const list = [...history.slice(0, 1), { ...history[1], tag: "gone/0001" } as Migration];
    expect(refusal(() => migrateUp(db, { migrations: list })).code).toBe("migration_copy_failed");
    expect(schema(db)).toEqual(before);
  });
});

describe.skipIf(whyNoDisks() !== undefined)("a full disk leaves everything as it was", () => {
  const CONTENT = "x".repeat(300 * 1024);

  test.each([
    ["for the copy", 400, "migration_copy_failed"],
    ["for what comes after the copy", 1_000, "migration_failed"],
  ] as const)("too small %s", (_, kib, code) => {
    const folderOnDisk = join(folder, "disk");
    using _disk = SmallDisk.mount(folderOnDisk, kib);
    using db = new Database(join(folderOnDisk, "artel.db"));
    migrateUp(db, { migrations: history, to: "0000_first" });
    db.run("INSERT INTO parent (name) VALUES (?)", [CONTENT]);
    const before = schema(db);
    expect(refusal(() => migrateUp(db, { migrations: history })).code).toBe(code);
    expect([schema(db), applied(db)]).toEqual([before, ["0000_first"]]);
    expect(db.query("SELECT name FROM parent").values()).toEqual([[CONTENT]]);
    expect(readdirSync(folderOnDisk)).toEqual(["artel.db"]);
  });
});

describe("refusals", () => {
  test("a database with a migration that this build does not know", () => {
    const db = open();
    migrateUp(db, { migrations: history });
    const older = history.slice(0, 2);
    for (const action of [() => migrateUp(db, { migrations: older }), () => migrateDown(db, 1, { migrations: older })]) {
      expect(refusal(action).code).toBe("database_newer");
    }
    expect(refusal(() => migrationStatus(db, older)).message).not.toContain("\n");
    expect(applied(db)).toHaveLength(3);
    expect(names()).toEqual(["artel.db"]);
  });

  test("a file that is no database, and stays as it is", () => {
    const text = "this is no database, however often it is read as one\n".repeat(100);
    writeFileSync(file, text);
    const db = new Database(file);
    opened.push(db);
    const error = refusal(() => migrateUp(db));
    expect([error.code, error.message.includes(file), error.message.includes("\n")]).toEqual(["database_corrupt", true, false]);
    expect(readFileSync(file, "utf8")).toBe(text);
  });

  test("a database whose pages are overwritten", () => {
    const db = open();
    migrateUp(db);
    db.close();
    const bytes = readFileSync(file);
    bytes.fill(0xff, 100, 4096);
    writeFileSync(file, bytes);
    expect(refusal(() => migrateUp(open())).code).toBe("database_corrupt");
  });

  test("another application's database", () => {
    const db = open();
    db.run("CREATE TABLE bookmarks (url TEXT)");
    expect(refusal(() => migrateUp(db)).code).toBe("database_foreign");
    expect(schema(db)).toHaveLength(1);
  });
});

describe("an interrupted migration", () => {
  const broken = (up: string[]): Migration[] => [
    ...history.slice(0, 1),
    { tag: "0001_broken", when: 2_000, hash: "x", up, down: [] },
  ];

  test("one whose statement fails leaves nothing behind", () => {
    const db = open();
    migrateUp(db, { migrations: history, to: "0000_first" });
    const before = schema(db);
    const list = broken(["CREATE TABLE half (n)", "INSERT INTO nowhere VALUES (1)"]);
    const error = refusal(() => migrateUp(db, { migrations: list }));
    expect([error.code, error.message]).toEqual(["migration_failed", expect.stringContaining("0001_broken")]);
    expect(schema(db)).toEqual(before);
    expect(applied(db)).toEqual(["0000_first"]);
    expect(migrateUp(db, { migrations: history }).tags).toHaveLength(2);
  });

  test("one that breaks a reference leaves nothing behind", () => {
    const db = open();
    migrateUp(db, { migrations: history, to: "0000_first" });
    db.run("INSERT INTO parent VALUES (1, 'one')");
    db.run("INSERT INTO child VALUES (10, 1)");
    const error = refusal(() => migrateUp(db, { migrations: broken(["DELETE FROM parent"]) }));
    expect(error.message).toContain("a row of child points at a row of parent that is not there");
    expect(db.query("SELECT count(*) FROM parent").values()).toEqual([[1]]);
  });

  test("one whose process is killed in the middle leaves nothing behind", () => {
    migrateUp(open(), { migrations: history, to: "0000_first" });
    const script = `
      import { Database } from "bun:sqlite";
      import { migrateUp } from ${JSON.stringify(join(ROOT, "src/drivers/sqlite/migrate.ts"))};
      const [first] = JSON.parse(process.env.HISTORY);
      // So small a cache that half of the migration stands in the file when the process dies.
      const db = new Database(process.env.FILE);
      db.run("PRAGMA journal_mode = WAL");
      db.run("PRAGMA cache_size = 1");
      const up = { *[Symbol.iterator]() {
        yield "CREATE TABLE half (text TEXT)";
        yield "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 20000) INSERT INTO half SELECT hex(randomblob(100)) FROM c";
        process.kill(process.pid, "SIGKILL");
        yield "SELECT 1";
      } };
      migrateUp(db, { migrations: [first, { tag: "0001_killed", when: 2000, hash: "x", up, down: [] }] });`;
    const { exitCode, signalCode } = Bun.spawnSync([process.execPath, "-e", script], {
      env: { ...process.env, FILE: file, HISTORY: JSON.stringify(history) },
    });
    expect({ exitCode, signalCode }).toMatchObject({ signalCode: "SIGKILL" });
    expect(existsSync(`${file}-wal`) && statSync(`${file}-wal`).size).toBeGreaterThan(100_000);

    const db = open();
    expect(applied(db)).toEqual(["0000_first"]);
    expect(db.query("SELECT 1 FROM sqlite_master WHERE name = 'half'").get()).toBeNull();
    expect(migrateUp(db, { migrations: history }).tags).toHaveLength(2);
  });
});
