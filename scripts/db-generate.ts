/**
 * Writes a migration for what changed in src/drivers/sqlite/schema.ts: `bun run db:generate NAME [--reset]`.
 *
 * drizzle-kit writes NNNN_NAME.sql, the snapshot and the journal; the way back (NNNN_NAME.down.sql) comes from
 * the same generator with the two snapshots swapped. `--reset` throws away the only migration first, which is
 * allowed as long as no release has shipped it.
 */
import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { generateSQLiteDrizzleJson, generateSQLiteMigration } from "drizzle-kit/api";

type Snapshot = Awaited<ReturnType<typeof generateSQLiteDrizzleJson>>;
interface Journal {
  entries: { idx: number; when: number; tag: string }[];
}

const ROOT = join(import.meta.dir, "..");
const OUT = join(ROOT, "drizzle");
const BREAKPOINT = "--> statement-breakpoint\n";

async function journal(): Promise<Journal> {
  const file = join(OUT, "meta/_journal.json");
  return existsSync(file) ? JSON.parse(await readFile(file, "utf8")) : { entries: [] };
}

async function snapshot(index: number): Promise<Snapshot> {
  if (index < 0) return generateSQLiteDrizzleJson({});
  return JSON.parse(await readFile(join(OUT, "meta", `${String(index).padStart(4, "0")}_snapshot.json`), "utf8"));
}

async function reset(): Promise<void> {
  const { entries } = await journal();
  if (entries.length > 1) throw new Error("--reset is for a single migration; there are more");
  for (const entry of entries) {
    await rm(join(OUT, `${entry.tag}.sql`), { force: true });
    await rm(join(OUT, `${entry.tag}.down.sql`), { force: true });
  }
  await rm(join(OUT, "meta"), { recursive: true, force: true });
}

async function main(args: string[]): Promise<number> {
  const name = args.find((arg) => !arg.startsWith("--"));
  if (!name || !/^[a-z][a-z0-9_]*$/.test(name)) {
    console.error("usage: bun run db:generate NAME [--reset]   (NAME in snake_case)");
    return 2;
  }
  if (args.includes("--reset")) await reset();

  const before = (await journal()).entries.length;
  const kit = Bun.spawnSync([process.execPath, join(ROOT, "node_modules/drizzle-kit/bin.cjs"), "generate", "--name", name], {
    cwd: ROOT,
    stdio: ["inherit", "inherit", "inherit"],
  });
  if (kit.exitCode !== 0) return 1;
  const { entries } = await journal();
  const entry = entries[before];
  if (!entry) return 0; // drizzle-kit has said that nothing changed

  const previous = entries[before - 1];
  if (previous && previous.when >= entry.when)
    throw new Error(`${entry.tag} is not newer than ${previous.tag}: is the clock right?`);
  const down = await generateSQLiteMigration(await snapshot(entry.idx), await snapshot(entry.idx - 1));
  const file = join(OUT, `${entry.tag}.down.sql`);
  await writeFile(file, `${down.join(BREAKPOINT).trimEnd()}\n`);
  console.log(`wrote ${file}: read both files before you commit them`);
  return 0;
}

process.exitCode = await main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message);
  return 1;
});
