import { declarations } from "../../../scripts/declarations.ts" with { type: "macro" };
import hello from "./hello.ts.txt" with { type: "text" };
import packageJson from "./package.json.txt" with { type: "text" };
import tsconfig from "./tsconfig.json.txt" with { type: "text" };

/** The files of a new folder of tasks, by name. */
export const TEMPLATE: Readonly<Record<string, string>> = {
  "hello.ts": hello,
  "artel.d.ts": declarations(),
  "tsconfig.json": tsconfig,
  "package.json": packageJson,
};
