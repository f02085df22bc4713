import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { realpathSync, statSync } from "node:fs";
import { Bundles } from "../support/bundles.ts";
import { executable } from "../support/executable.ts";

// Builds and starts what it looks at; the preload's limit holds for the first file of a run only.
setDefaultTimeout(60_000);

/*
 * How much is loaded, and how large the executable is: the start's time and a thread's memory follow these. Whoever needs more for
 * a good reason raises the bound in the same commit; a dependency that comes along by accident fails here.
 */

const KB = 1_000;
/** Files, paths and the like; `http`, `crypto` and `stream` take milliseconds of a start and megabytes of a thread. */
const CHEAP = ["async_hooks", "bun", "bun:jsc", "bun:sqlite", "fs", "os", "path", "util"];
/** What the main thread alone has any business with. */
const MAIN_ONLY = ["elysia", "drizzle-orm", "prom-client", "swagger-ui-dist", "jose", "ajv", "croner"];

let bundles: Bundles;
beforeAll(async () => {
  bundles = await Bundles.make();
});

const LOADED: readonly {
  readonly what: string;
  readonly entries: readonly string[];
  readonly modules: number;
  readonly bytes: number;
  readonly without: readonly string[];
}[] = [
  {
    what: "a thread on the embedded broker",
    entries: ["src/workers/thread.ts"],
    modules: 139,
    bytes: 127 * KB,
    without: [...MAIN_ONLY, "ioredis", "htmlparser2"],
  },
  {
    what: "a thread on Redis",
    entries: ["src/workers/thread.ts", "src/drivers/redis/thread-broker.ts", "src/drivers/system.ts"],
    modules: 227,
    bytes: 453 * KB,
    without: [...MAIN_ONLY, "htmlparser2"],
  },
  {
    what: "the loader of task files",
    entries: ["src/workers/loader.ts"],
    modules: 132,
    bytes: 115 * KB,
    without: [...MAIN_ONLY, "ioredis", "htmlparser2"],
  },
  {
    what: "what a server begins twice with",
    entries: ["src/main.ts"],
    modules: 2,
    bytes: 2 * KB,
    without: [],
  },
  {
    what: "every command",
    entries: ["src/main.ts", "src/cli/program.ts"],
    modules: 40,
    bytes: 50 * KB,
    without: [...MAIN_ONLY, "ioredis", "htmlparser2"],
  },
  {
    what: "serve",
    entries: ["src/main.ts", "src/cli/program.ts", "src/compose.ts", "src/http/client-address.ts"],
    modules: 425,
    bytes: 995 * KB,
    without: ["ioredis", "ajv", "htmlparser2", "robots-parser", "prom-client"],
  },
];

describe("what is loaded at the start of", () => {
  for (const { what, entries, modules, bytes, without } of LOADED) {
    test(what, () => {
      const loaded = bundles.loadedBy(...entries);
      expect(loaded.packages.filter((name) => without.includes(name))).toEqual([]);
      expect(loaded.builtins.filter((name) => !CHEAP.includes(name))).toEqual([]);
      expect(loaded.modules.length).toBeLessThanOrEqual(modules);
      expect(loaded.bytes).toBeLessThanOrEqual(bytes);
      // A description that tells of nothing would pass.
      expect(loaded.modules).toContain(entries[0] as string);
    });
  }

  test("a thread: nothing of the services, of HTTP or of the database", () => {
    const { modules } = bundles.loadedBy("src/workers/thread.ts", "src/drivers/redis/thread-broker.ts");
    expect(modules.filter((path) => /^src\/(services|http|cli|compose|drivers\/sqlite)/.test(path))).toEqual([]);
  });
});

test("the executable is no more than 14.3 MB larger than Bun itself", async () => {
  const own = statSync(await executable()).size - statSync(realpathSync(process.execPath)).size;
  expect(own).toBeLessThanOrEqual(14.3e6);
});
