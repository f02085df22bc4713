/** Builds the executable for every platform: `bun run build:all`. Other platforms' runtimes come from the package registry. */
import { statSync } from "node:fs";
import { basename } from "node:path";
import { build } from "./build.ts";

const TARGETS = [
  "bun-linux-x64",
  "bun-linux-arm64",
  "bun-linux-x64-musl",
  "bun-linux-arm64-musl",
  "bun-darwin-arm64",
  "bun-darwin-x64",
  "bun-windows-x64",
];

for (const target of TARGETS) {
  try {
    const file = await build({ target });
    console.log(`${basename(file).padEnd(28)} ${(statSync(file).size / 1e6).toFixed(1)} MB`);
  } catch (error) {
    console.error(`${target}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
