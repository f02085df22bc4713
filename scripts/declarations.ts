import { join } from "node:path";
import { generateDtsBundle } from "dts-bundle-generator";

const ROOT = join(import.meta.dir, "..");

/**
 * The types of "artel" as one file that needs no other, so that an editor completes and checks task files with nothing
 * downloaded. A macro: it runs while the executable is built, which holds the text alone.
 */
export function declarations(): string {
  const [bundle = ""] = generateDtsBundle(
    [
      {
        filePath: join(ROOT, "src/tasks/artel.ts"),
        // TypeBox's types come along.
        libraries: { inlinedLibraries: ["@sinclair/typebox"] },
        output: { noBanner: true, exportReferencedTypes: false },
      },
    ],
    { preferredConfigPath: join(ROOT, "tsconfig.json") },
  );
  // Inside of a declared module everything is declared.
  const body = bundle.replaceAll(/^(export )?declare /gm, "$1").trim();
  return `// What task files import from "artel", with the types of TypeBox (MIT license). Written by artel init.\ndeclare module "artel" {\n${body}\n}\n`;
}
