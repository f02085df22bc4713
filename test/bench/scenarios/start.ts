import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Scenario } from "../bench.ts";
import { Rival } from "../server.ts";

const BARE = "a bare compiled server: start to first 200";

export const start: Scenario = {
  about: "from the call to the first 200, without task files, beside a compiled Bun.serve of five lines",
  async run(bench) {
    const folder = mkdtempSync(join(tmpdir(), "artel-bare-"));
    try {
      const file = join(folder, "bare");
      await compile(join(import.meta.dir, "../rivals/raw-http.ts"), file);
      await using bare = await Rival.start([file]);
      await using artel = await bench.artel(["--threads", "2"], { bare: true });
      await using alone = await bench.artel(["--threads", "0"], { bare: true });
      return [
        { name: BARE, value: bare.startMs, unit: " ms" },
        { name: "start to first 200, 2 threads", value: artel.startMs, unit: " ms", of: BARE },
        { name: "start to first 200, the API alone", value: alone.startMs, unit: " ms", of: BARE },
      ];
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function compile(source: string, file: string): Promise<void> {
  const args = ["build", "--compile", "--bytecode", "--format=esm", source, `--outfile=${file}`];
  const bun = Bun.spawn([process.execPath, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  if ((await bun.exited) !== 0) throw new Error("the bare server could not be built");
}
