import { buildIfStale } from "../../scripts/build.ts";

let built: Promise<string> | undefined;

/** The absolute path of the executable, built first if it is older than the sources. */
export function executable(): Promise<string> {
  built ??= buildIfStale();
  return built;
}
