import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join, relative, resolve, sep } from "node:path";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import extractOptions from "dependency-cruiser/config-utl/extract-depcruise-options";

const ROOT = resolve(import.meta.dir, "..");

async function examine(root: string): Promise<ICruiseResult> {
  const options = await extractOptions(join(ROOT, ".dependency-cruiser.cjs"));
  const { output } = await cruise(["src"], { ...options, baseDir: root, validate: true });
  return output as ICruiseResult;
}

const violations = (result: ICruiseResult): string[] =>
  result.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`).sort();

/** Files, but not those that compose, that know services and drivers together. */
const composers = (result: ICruiseResult): string[] =>
  result.modules
    .filter(({ source, dependencies }) => {
      const reaches = (folder: string) => dependencies.some(({ resolved }) => resolved.startsWith(folder));
      return !/^src\/compose[-a-z]*\.ts$/.test(source) && reaches("src/services/") && reaches("src/drivers/");
    })
    .map(({ source }) => source);

/** All files of the repository, as git sees them or, outside of git, as they lie there. */
function files(): string[] {
  const git = Bun.spawnSync(["git", "ls-files", "--cached", "--others", "--exclude-standard"], { cwd: ROOT, stderr: "ignore" });
  if (git.success)
    return git.stdout
      .toString()
      .split("\n")
      .filter((file) => file !== "" && existsFile(file));
  return readdirSync(ROOT, { recursive: true })
    .map((file) => file.toString().replaceAll(sep, "/"))
    .filter((file) => !/(^|\/)(node_modules|dist|data|\.git)(\/|$)/.test(file) && existsFile(file));
}

function existsFile(file: string): boolean {
  return Bun.file(join(ROOT, file)).size > 0;
}

const sources = (pattern: RegExp) =>
  files()
    .filter((file) => pattern.test(file))
    .map((file) => ({ file, text: readFileSync(join(ROOT, file), "utf8") }));

/** Without comments and what stands between quotes on one line. */
const codeOf = (text: string) =>
  text
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/(["'`])(?:\\.|(?!\1)[^\\\n])*\1/g, "''")
    .replace(/(^|\s)\/\/.*$/gm, "$1");

describe("direction of imports", () => {
  test("every source file is seen, and none imports against the direction", async () => {
    const result = await examine(ROOT);
    expect(violations(result)).toEqual([]);
    expect(composers(result)).toEqual([]);
    // A cruiser that cannot read TypeScript finds nothing, which looks like success.
    const seen = result.modules.map(({ source }) => source);
    expect(
      sources(/^src\/.*\.ts$/)
        .map(({ file }) => file)
        .filter((file) => !seen.includes(file)),
    ).toEqual([]);
  });

  test("what goes against the direction is found", async () => {
    const root = mkdtempSync(join(tmpdir(), "artel-imports-"));
    try {
      const write = (file: string, text: string) => {
        mkdirSync(dirname(join(root, file)), { recursive: true });
        writeFileSync(join(root, file), text);
      };
      symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
      writeFileSync(join(root, "package.json"), readFileSync(join(ROOT, "package.json")));
      write("src/domain/d.ts", 'import "node:fs"; import type { P } from "../ports/p.ts"; export type D = P;');
      write("src/ports/p.ts", 'import type { D } from "../domain/d.ts"; import "ioredis"; export type P = D;');
      write("src/services/s.ts", 'export const s = import("../drivers/a/a.ts");');
      write("src/workers/w.ts", 'export * from "../services/s.ts";');
      write("src/tasks/t.ts", 'import type { P } from "../ports/p.ts"; export type T = P;');
      write("src/drivers/a/a.ts", 'export { b } from "../b/b.ts"; import "fast-check";');
      write("src/drivers/b/b.ts", 'export const b = 1; import "./missing.ts";');
      write("src/http/h.ts", 'import "../drivers/a/a.ts"; import "../main.ts";');
      write("src/cli/c.ts", 'import "../drivers/a/a.ts"; import "../services/s.ts";');
      write("src/compose.ts", 'import "./drivers/a/a.ts"; import "./services/s.ts"; import "./cli/c.ts";');
      write("src/main.ts", 'import "./compose.ts";');
      const result = await examine(root);
      const found = violations(result).join("\n");
      for (const rule of [
        "no-cycles: src/domain/d.ts",
        "no-unresolved: src/drivers/b/b.ts",
        "no-dev-packages: src/drivers/a/a.ts",
        "domain-alone: src/domain/d.ts -> src/ports/p.ts",
        "domain-without-io: src/domain/d.ts -> fs",
        "domain-without-io-packages: src/ports/p.ts",
        "services-on-ports: src/services/s.ts -> src/drivers/a/a.ts",
        "workers-on-ports: src/workers/w.ts -> src/services/s.ts",
        "tasks-on-domain: src/tasks/t.ts -> src/ports/p.ts",
        "drivers-apart: src/drivers/a/a.ts -> src/drivers/b/b.ts",
        "http-on-services: src/http/h.ts -> src/drivers/a/a.ts",
        "main-is-last: src/http/h.ts -> src/main.ts",
        "compose-knows-no-command: src/compose.ts -> src/cli/c.ts",
      ]) {
        expect(found).toContain(rule);
      }
      expect(composers(result)).toContain("src/cli/c.ts");
      expect(composers(result)).not.toContain("src/compose.ts");
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});

describe("sources", () => {
  test("only main.ts ends the process; taking process.exit away from a task is something else", () => {
    const ending = sources(/^src\/.*\.ts$/).filter(({ text }) =>
      /(?<!typeof )\bprocess\.(exit|reallyExit|abort)\b(?!\s*=[^=])/.test(codeOf(text)),
    );
    expect(ending.map(({ file }) => file).filter((file) => file !== "src/main.ts")).toEqual([]);
  });

  test("the domain has no clock and no randomness of its own", () => {
    const impure =
      /\bDate\.now\(|\bnew Date\(\s*\)|\bMath\.random\(|\bcrypto\.|\bperformance\.|\bsetTimeout\(|\bsetInterval\(|\bprocess\.|\bBun\./;
    expect(
      sources(/^src\/domain\//)
        .filter(({ text }) => impure.test(codeOf(text)))
        .map(({ file }) => file),
    ).toEqual([]);
  });

  test("the lock file names no registry", () => {
    expect(readFileSync(join(ROOT, "bun.lock"), "utf8")).not.toMatch(/https?:/);
  });

  test("no file points out of the repository", () => {
    // Paths of the machine that the repository happens to lie on: its own, and those of its neighbours.
    const parent = dirname(ROOT);
    const common = ["/", homedir(), tmpdir(), "/tmp", "/home", "/opt", "/usr/src", "/srv"].includes(parent);
    const paths = [ROOT, ...(common ? [] : readdirSync(parent).map((name) => join(parent, name)))].filter(
      (path) => path.split(sep).length > 2,
    );
    const climbs = (file: string, text: string) =>
      [...text.matchAll(/(?:\.\.\/)+[\w.@-]+/g)].some(([path]) =>
        relative(ROOT, resolve(ROOT, dirname(file), path)).startsWith(".."),
      );
    const outside = sources(/\.(ts|js|mjs|cjs|json|md|toml|yml|html|sql|lua)$|^Dockerfile$|^\.ci\//).filter(
      ({ file, text }) =>
        paths.some((path) => text.includes(`${path}/`)) || (/^(src\/|[^/]+$|docs\/)/.test(file) && climbs(file, text)),
    );
    expect(outside.map(({ file }) => file)).toEqual([]);
  });
});
