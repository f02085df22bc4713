import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const PACKAGES = ["zod", "valibot", "@valibot/to-json-schema", "arktype"];
const MODULES = join(import.meta.dir, "../../node_modules");

/** Puts schema libraries into a tasks folder's own node_modules, without the network. */
export function installSchemaLibraries(folder: string, packages: readonly string[] = PACKAGES): void {
  for (const name of packages) {
    const link = join(folder, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(MODULES, name), link);
  }
}

/** A tasks folder with these files and the schema libraries. */
export function schemaFolder(files: Readonly<Record<string, string>>): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "artel-schemas-"));
  installSchemaLibraries(path);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, `${name}.ts`), text);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

const ZOD = 'import { task } from "artel"; import { z } from "zod";\n';

/** Task files whose schemas are code, by name. */
export const SCHEMA_FILES: Readonly<Record<string, string>> = {
  zodded: `${ZOD}
    export default task({
      input: z.object({
        name: z.string().min(2),
        when: z.coerce.date(),
        times: z.number().int().default(3),
        id: z.string().default(() => crypto.randomUUID()),
        odd: z.number().optional().refine((n) => n === undefined || n % 2 === 1, "must be odd"),
      }),
      output: z.object({ year: z.number(), name: z.string(), times: z.number() }),
      retry: 1,
      run({ name, when, times, id }) {
        const result = { year: when.getUTCFullYear(), name, times, id };
        return name === "wrong" ? ({ ...result, year: "never" } as never) : result;
      },
    });
  `,
  valibotted: `
    import { task } from "artel"; import * as v from "valibot";
    export default task({
      input: v.object({ n: v.pipe(v.string(), v.transform(Number), v.check((n) => n < 10, "too large")), word: v.optional(v.string(), "d") }),
      run: (input) => input,
    });
  `,
  arktyped: `
    import { task } from "artel"; import { type } from "arktype";
    export default task({ input: type({ n: "string.numeric.parse", size: "'s' | 'l' = 's'" }), run: (input) => input });
  `,
  /** Once at a time by one field; and by its schedule, on the last day of February of leap years. */
  unique: `${ZOD}
    export default task({
      input: z.object({ key: z.string(), gate: z.string().optional() }).refine(({ key }) => key !== "refused", { path: ["key"], message: "refused" }),
      unique: ["key"],
      schedule: { cron: "0 0 29 2 *", input: { key: "by schedule" } },
      async run({ key, gate }) { if (gate) await fetch(gate); return key; },
    });
  `,
  /** Loops, waits for ever, throws or answers late, as it is asked to. */
  trouble: `${ZOD}
    const wait = { never: new Promise<boolean>(() => {}), late: () => new Promise<boolean>((resolve) => setTimeout(resolve, 20, true)) };
    export default task({
      input: z.object({ how: z.string() }).refine(async ({ how }) => {
        if (how === "throw") throw new Error("secret: /etc/passwd");
        if (how === "never") return await wait.never;
        if (how === "late") return await wait.late();
        return true;
      }).refine(({ how }) => {
        if (how === "loop") for (;;);
        if (how === "exit") process.exit(1);
        return true;
      }),
      run: ({ how }) => how,
    });
  `,
  /** Lets an input through once: the second check of it, in the worker, refuses it. */
  moody: `${ZOD}
    import { appendFileSync, readFileSync } from "node:fs";
    const isFirst = (file: string): boolean => (appendFileSync(file, "x"), readFileSync(file, "utf8") === "x");
    export default task({
      input: z.object({ file: z.string() }).refine(({ file }) => isFirst(file), { path: ["file"], message: "not again" }),
      run: () => 1,
    });
  `,
  /** Its result's schema is data. */
  plain: `
    import { task, t } from "artel";
    export default task({
      input: t.Object({ value: t.Unknown() }),
      output: t.Object({ list: t.Array(t.Integer()), at: t.Optional(t.String({ format: "date-time" })) }),
      retry: 1,
      run: ({ value }) => value as { list: number[] },
    });
  `,
};
