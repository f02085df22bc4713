import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { declare, type Side } from "../../src/cli/typed/type-text.ts";
import { openapiDocument } from "../../src/compose.ts";
import type { JsonSchema } from "../../src/domain/definition.ts";
import { resolve } from "../../src/http/openapi/example.ts";

/*
 * The typed client is written by hand, beside the schemas of the API. Here a type is made of what the OpenAPI document says, and
 * the type checker is asked whether the client knows its fields.
 */

interface Parameter {
  readonly $ref?: string;
  readonly name: string;
  readonly in: string;
  readonly schema: object;
}
interface Document {
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly parameters: readonly Parameter[] }>>>>;
}

interface Pair {
  readonly name: string;
  readonly schema: JsonSchema;
  /** The client's type for it. */
  readonly client: string;
  /** `output`: what is answered fits the client's type; `input`: what callers may write fits the API. */
  readonly side: Side;
  /** A field whose types are not compared, such as the id, which knows its task in the client. */
  readonly loose?: string;
}

const document = (await openapiDocument("0.0.0")) as unknown as Document;
const answerOf = (method: string): string => `Awaited<ReturnType<Artel["${method}"]>>`;

/** A schema that finds what it refers to in the document. */
const inDocument = (schema: JsonSchema): JsonSchema => ({ ...schema, components: document.components });
const component = (name: string): JsonSchema => inDocument({ $ref: `#/components/schemas/${name}` });

/** The query of a call, as one object. */
function queryOf(method: string, path: string): JsonSchema {
  const { parameters = [] } = document.paths[path]?.[method] ?? {};
  const found = parameters.map((each) => (each.$ref === undefined ? each : (resolve(each.$ref, document) as Parameter)));
  const properties = found.filter((each) => each.in === "query").map(({ name, schema }) => [name, schema] as const);
  return inDocument({ type: "object", properties: Object.fromEntries(properties) });
}

const PAIRS: readonly Pair[] = [
  { name: "Shown", schema: component("Task"), client: "Task", side: "output", loose: "task_id" },
  { name: "Listed", schema: component("TaskSummary"), client: "TaskSummary", side: "output", loose: "task_id" },
  { name: "Accepted", schema: component("TaskAccepted"), client: answerOf("submit"), side: "output", loose: "task_id" },
  { name: "Page", schema: component("TaskPage"), client: answerOf("list"), side: "output", loose: "items" },
  { name: "Trouble", schema: component("TaskError"), client: 'NonNullable<Task["error"]>', side: "output" },
  { name: "LogLine", schema: component("TaskLog/properties/items/items"), client: `${answerOf("logs")}[number]`, side: "output" },
  { name: "Account", schema: component("Account"), client: answerOf("register"), side: "output" },
  {
    name: "Submission",
    schema: queryOf("post", "/tasks/{task}"),
    client: 'Omit<SubmitOptions, "idempotencyKey">',
    side: "input",
  },
  { name: "ListedBy", schema: queryOf("get", "/tasks"), client: "ListQuery", side: "input" },
];

/** Lines that the type checker takes where the two agree; what it says else names the field. */
function comparison({ name, client, side, loose }: Pair): string[] {
  const without = (type: string): string => (loose === undefined ? type : `Omit<${type}, "${loose}">`);
  const [from, to] = (side === "output" ? [name, client] : [client, name]).map((type) => without(type as string));
  return [
    `export const clientKnows${name}: [Exclude<keyof ${name}, keyof ${client}>] extends [never] ? "all" : Exclude<keyof ${name}, keyof ${client}> = "all";`,
    `export const apiKnows${name}: [Exclude<keyof ${client}, keyof ${name}>] extends [never] ? "all" : Exclude<keyof ${client}, keyof ${name}> = "all";`,
    `export const fits${name} = (given: ${from}): ${to} => given;`,
  ];
}

/** What the type checker says of these pairs, a line an error. */
async function complaints(pairs: readonly Pair[]): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), "artel-fields-"));
  try {
    copyFileSync(join(import.meta.dir, "../../src/cli/typed/client.ts"), join(directory, "client.ts"));
    const types = pairs.flatMap(({ name, schema, side }) => declare(name, schema, side));
    const imports = 'import type { Artel, ListQuery, SubmitOptions, Task, TaskSummary } from "./client.ts";';
    writeFileSync(join(directory, "fields.ts"), [imports, ...types, ...pairs.flatMap(comparison)].join("\n"));
    const tsc = join(import.meta.dir, "../../node_modules/typescript-7/bin/tsc");
    const flags = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--allowImportingTsExtensions", "--types", ""];
    const target = ["--target", "ESNext", "--module", "ESNext", "--moduleResolution", "bundler", "--lib", "ESNext,DOM"];
    const run = Bun.spawn([process.execPath, tsc, ...flags, ...target, "fields.ts"], { cwd: directory, stdout: "pipe" });
    return (await run.stdout.text()).split("\n").filter((line) => line !== "");
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe("the typed client", () => {
  test("has all fields of the API, no others, and of types that fit", async () => {
    expect(await complaints(PAIRS)).toEqual([]);
  });

  test("is found out where the API has a field more, a field less, and a value more", async () => {
    const { properties, required } = document.components.schemas["Task"] as {
      properties: Record<string, object>;
      required: string[];
    };
    const { seq: _, ...fewer } = properties;
    const said = async (to: Record<string, object>): Promise<string> => {
      const schema = inDocument({ type: "object", properties: to, required: required.filter((name) => name in to) });
      return (await complaints([{ name: "Changed", schema, client: "Task", side: "output", loose: "task_id" }])).join("\n");
    };
    expect(await said({ ...properties, colour: { type: "string" } })).toContain('"colour"');
    expect(await said(fewer)).toContain('"seq"');
    expect(await said({ ...properties, attempt: { type: ["integer", "null"] } })).toContain("not assignable");
    expect(await said(properties)).toBe("");
  });
});
