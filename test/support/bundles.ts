/** The bundles that the executable holds, as Bun itself describes them: who imports whom, and how large they are. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BUNDLE_FLAGS, ENTRIES } from "../../scripts/build.ts";

const ROOT = join(import.meta.dir, "../..");

interface Output {
  readonly bytes: number;
  readonly entryPoint?: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly imports: readonly { readonly path: string; readonly kind: string }[];
}

interface Input {
  readonly imports: readonly { readonly path: string; readonly kind: string; readonly external?: boolean }[];
}

interface Description {
  readonly outputs: Readonly<Record<string, Output>>;
  readonly inputs: Readonly<Record<string, Input>>;
}

/** What is loaded before the first line of some entries runs. */
export interface Loaded {
  /** Paths of the modules, from the root. */
  readonly modules: readonly string[];
  readonly packages: readonly string[];
  /** Modules of the runtime's own, such as `fs` and `bun:sqlite`. */
  readonly builtins: readonly string[];
  readonly bytes: number;
}

export class Bundles {
  readonly #outputs: Description["outputs"];
  readonly #inputs: Description["inputs"];

  private constructor({ outputs, inputs }: Description) {
    this.#outputs = outputs;
    this.#inputs = inputs;
  }

  /** Bundles with the executable's own flags. */
  static async make(): Promise<Bundles> {
    const folder = mkdtempSync(join(tmpdir(), "artel-bundles-"));
    try {
      const file = join(folder, "meta.json");
      const args = ["build", ...BUNDLE_FLAGS, "--target=bun", ...ENTRIES, `--outdir=${folder}`, `--metafile=${file}`];
      const bun = Bun.spawn([process.execPath, ...args], { cwd: ROOT, stdio: ["ignore", "ignore", "pipe"] });
      const complaints = await bun.stderr.text();
      if ((await bun.exited) !== 0) throw new Error(complaints);
      return new Bundles(JSON.parse(readFileSync(file, "utf8")) as Description);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** @param entries files that are started, or imported at some time by `import()` */
  loadedBy(...entries: readonly string[]): Loaded {
    const seen = new Set<string>();
    const visit = (path: string): void => {
      const output = this.#outputs[path];
      if (!output || seen.has(path)) return;
      seen.add(path);
      for (const { path: next, kind } of output.imports) if (kind === "import-statement") visit(next);
    };
    for (const entry of entries) visit(this.#of(entry));
    const outputs = [...seen].map((path) => this.#outputs[path] as Output);
    const modules = [...new Set(outputs.flatMap(({ inputs }) => Object.keys(inputs)))].sort();
    const packages = modules.flatMap((path) => /node_modules\/(@[^/]+\/[^/]+|[^/]+)/.exec(path)?.[1] ?? []);
    const builtins = modules.flatMap((path) =>
      (this.#inputs[path]?.imports ?? []).filter(
        ({ path, kind, external }) => external && !path.startsWith(".") && kind === "import-statement",
      ),
    );
    return {
      modules,
      packages: [...new Set(packages)],
      builtins: [...new Set(builtins.map(({ path }) => path))].sort(),
      bytes: outputs.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }

  #of(entry: string): string {
    const found = Object.entries(this.#outputs).find(([, { entryPoint }]) => entryPoint === entry);
    if (!found) throw new Error(`${entry} begins no bundle`);
    return found[0];
  }
}
