import { describe, expect, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { AnyElysia } from "elysia";
import type { TaskPolicy } from "../../src/domain/definition.ts";
import { checkOf } from "../../src/domain/schema-check.ts";
import { planOf } from "../../src/domain/workflow-plan.ts";
import { type AppDeps, apiRoutes, createApp } from "../../src/http/app.ts";
import { describeApi } from "../../src/http/docs.ts";
import type { OpenApiDocument } from "../../src/http/openapi/document.ts";
import { builtinPolicies } from "../../src/tasks/builtin.ts";
import { recordingLog } from "../support/manual-runtime.ts";

/** The contract's calls and what each may answer. */
const CONTRACT: readonly (readonly [call: string, statuses: string])[] = [
  ["POST /auth/register", "201 400 409 413 415 422 429 503"],
  ["POST /auth/login", "200 400 401 413 415 422 429 503"],
  ["POST /auth/refresh", "200 400 401 413 415 422 429 503"],
  ["POST /auth/logout", "204 401 503"],
  ["GET /auth/me", "200 401 503"],
  ["POST /auth/password", "204 400 401 403 409 413 415 422 429 503"],
  ["POST /auth/ws-ticket", "201 401 429 503"],
  ["GET /tasks/definitions", "200 401"],
  ["POST /tasks/{task}", "202 400 401 404 409 413 415 422 429 503"],
  ["POST /tasks/{name}/batch", "202 400 401 404 413 415 422 429 503"],
  ["GET /tasks", "200 401 403 422"],
  ["GET /tasks/{task}", "200 401 404"],
  ["GET /tasks/{task_id}/logs", "200 401 404"],
  ["POST /tasks/{task_id}/cancel", "202 401 404 409 503"],
  ["POST /tasks/{task_id}/retry", "202 401 404 409 429 503"],
  ["GET /ws/notifications", "101 401 403 422 426"],
  ["POST /workflows", "202 400 401 409 413 415 422 429 503"],
  ["GET /workflows", "200 401 403 422"],
  ["GET /workflows/{workflow_id}", "200 401 404"],
  ["POST /workflows/{workflow_id}/cancel", "202 401 404 409 503"],
  ["POST /workflows/{workflow_id}/retry", "202 401 404 409 429 503"],
  ["GET /workers", "200 401 403 503"],
  ["GET /schedules", "200 401 403"],
  ["POST /schedules/{name}/pause", "200 401 403 404 503"],
  ["GET /queues", "200 401 403"],
  ["POST /queues/{name}/pause", "200 401 403 404 503"],
  ["POST /queues/{name}/resume", "200 401 403 404 503"],
  ["POST /tasks/definitions/{name}/pause", "200 401 403 404 503"],
  ["POST /tasks/definitions/{name}/resume", "200 401 403 404 503"],
  ["POST /schedules/{name}/resume", "200 401 403 404 503"],
  ["POST /schedules/{name}/run", "202 401 403 404 429 503"],
  ["GET /health/live", "200"],
  ["GET /health/ready", "200 503"],
  ["GET /metrics", "200"],
  ["GET /docs", "200 304"],
  ["GET /openapi.json", "200 304"],
];

const policy = (name: string, input: object, description = ""): TaskPolicy => ({
  name,
  description,
  queue: "mail",
  input: input as TaskPolicy["input"],
  timeoutMs: 90_000,
  retry: { maxAttempts: 1, backoffMs: 0, maxBackoffMs: 0 },
});

const TREE = {
  $schema: "http://json-schema.org/draft-07/schema#",
  $ref: "#/definitions/tree",
  definitions: {
    tree: {
      type: "object",
      properties: { label: { type: "string" }, children: { type: "array", items: { $ref: "#/definitions/tree" } } },
      required: ["label"],
      additionalProperties: false,
    },
  },
};

const document = (definitions: readonly TaskPolicy[] = builtinPolicies): Promise<OpenApiDocument> =>
  describeApi({ version: "1.2.3", describe: () => apiRoutes({} as AppDeps), definitions: () => definitions });

function calls(of: OpenApiDocument) {
  return Object.entries(of.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ call: `${method.toUpperCase()} ${path}`, operation })),
  );
}

const operationOf = (of: OpenApiDocument, method: string, path: string) => {
  const operation = of.paths[path]?.[method];
  if (!operation) throw new Error(`the document has no ${method} ${path}`);
  return operation;
};

describe("the document", () => {
  test("is valid OpenAPI 3.1, its references included, for built-in and for other tasks", async () => {
    for (const definitions of [
      builtinPolicies,
      [...builtinPolicies, policy("tree", TREE), policy("a.b-c_d", { type: "string" })],
    ]) {
      const validator = new Validator();
      const made = await document(definitions);
      expect(await validator.validate(JSON.parse(JSON.stringify(made)) as Record<string, unknown>)).toEqual({ valid: true });
      expect(validator.version).toBe("3.1");
      const known = new Set(
        Object.entries(made.components).flatMap(([kind, all]) => Object.keys(all).map((name) => `${kind}/${name}`)),
      );
      const used = [...JSON.stringify(made).matchAll(/"\$ref":"#\/components\/([^"]*)"/g)].map(([, name]) => name ?? "");
      expect(used.length).toBeGreaterThan(50);
      expect(used.filter((name) => !known.has(name.split("/").slice(0, 2).join("/")))).toEqual([]);
    }
  });

  test("has every call of the contract with its statuses, and no other", async () => {
    const found = calls(await document([]));
    expect(found.map(({ call, operation }) => [call, Object.keys(operation.responses).join(" ")] as const).sort()).toEqual(
      [...CONTRACT].sort(),
    );
  });

  test("has every route of the app, and no other", async () => {
    const { log } = recordingLog();
    const app: AnyElysia = await createApp({ origins: [], logRequests: false, log } as unknown as AppDeps);
    const routes = app.routes
      .filter(({ hooks }) => hooks?.detail?.hide !== true)
      .map(({ method, path }) => `${method} ${path.replace(/(.)\/$/, "$1").replaceAll(/:\w+/g, "{}")}`);
    expect(
      calls(await document([]))
        .map(({ call }) => call.replaceAll(/\{\w+\}/g, "{}"))
        .sort(),
    ).toEqual([...routes].sort());
  });

  test("names each operation once, says its purpose, its tag and whether it needs a token", async () => {
    const made = await document([...builtinPolicies, policy("register", TREE)]);
    const operations = calls(made).map(({ operation }) => operation);
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    const tags = made.tags.map(({ name }) => name);
    expect(tags).toEqual(["accounts", "tasks", "workflows", "notices", "operations"]);
    for (const { operationId, summary, tags: [tag] = [], security } of operations) {
      expect([operationId, summary ?? ""]).toEqual([operationId, expect.stringMatching(/^[A-Z]/)]);
      expect(tags).toContain(tag ?? "");
      expect([operationId, Array.isArray(security)]).toEqual([operationId, true]);
    }
    expect(operationOf(made, "post", "/auth/login").security).toEqual([]);
    expect(operationOf(made, "get", "/tasks/{task}").security).toEqual([{ bearer: [] }]);
    expect(made.components["securitySchemes"]?.["bearer"]).toMatchObject({ type: "http", scheme: "bearer", bearerFormat: "JWT" });
    expect(made.info).toMatchObject({ title: "Artel", version: "1.2.3", license: { name: "MIT" } });
    expect(made.servers).toEqual([{ url: "/" }]);
  });

  test("declares what stands in each path, and no two paths that differ in a name only", async () => {
    const made = await document();
    const templates = Object.keys(made.paths).map((path) => path.replaceAll(/\{\w+\}/g, "{}"));
    expect(new Set(templates).size).toBe(templates.length);
    const shared = made.components["parameters"] ?? {};
    for (const { call, operation } of calls(made)) {
      const parameters = (operation.parameters ?? []).map((each) =>
        "$ref" in each ? (shared[String(each.$ref).split("/").at(-1) ?? ""] as typeof each) : each,
      );
      const inPath = parameters.filter((each) => each.in === "path");
      expect(inPath.map(({ name }) => `{${name}}`)).toEqual(call.match(/\{\w+\}/g) ?? []);
      for (const { name, required, schema } of inPath) {
        const isName = name === "name" || call === "POST /tasks/{task}";
        expect([call, required, schema["format"]]).toEqual([call, true, isName ? undefined : "uuid"]);
      }
    }
  });

  test("answers every error with a problem, and says a schema that comes again by its name", async () => {
    const made = await document();
    const text = JSON.stringify(made);
    expect(text.match(/about:blank/g)).toHaveLength(1);
    expect(text.match(/"Rises with every stored transition."/g)).toHaveLength(2);
    const schemaOf = (method: string, path: string, status: string) =>
      operationOf(made, method, path).responses[status]?.content?.["application/json"]?.schema;
    expect(schemaOf("get", "/tasks/{task}", "200")).toEqual({ $ref: "#/components/schemas/Task" });
    expect(schemaOf("get", "/tasks", "200")).toEqual({ $ref: "#/components/schemas/TaskPage" });
    expect(schemaOf("get", "/tasks/definitions", "200")).toEqual({
      type: "array",
      items: { $ref: "#/components/schemas/TaskDefinition" },
    });
    for (const answer of Object.values(made.components["responses"] ?? {})) {
      expect(answer).toHaveProperty(["content", "application/problem+json", "schema", "$ref"], "#/components/schemas/Problem");
    }
    expect(made.components["responses"]?.["TooManyRequests"]).toHaveProperty(["headers", "Retry-After"]);
  });

  test("shows a chain, a group and a chord that are taken as they stand", async () => {
    const body = operationOf(await document(), "post", "/workflows").requestBody?.content["application/json"];
    expect(body?.schema).toEqual({ $ref: "#/components/schemas/WorkflowDescription" });
    const examples = Object.entries(body?.examples ?? {});
    expect(examples.map(([name]) => name)).toEqual(["chain", "group", "chord"]);
    const known = new Map(builtinPolicies.map((policy) => [policy.name, checkOf(policy)]));
    for (const step of examples.flatMap(([, { value }]) => planOf(value).steps))
      if (!step.unresolved) expect(known.get(step.task)?.(step.input)).toEqual([]);
  });

  test("says integers, enums and nullable types as such", async () => {
    const made = await document();
    expect(JSON.stringify(made)).not.toContain('"format":"integer"');
    expect(operationOf(made, "get", "/tasks").parameters).toContainEqual({ $ref: "#/components/parameters/limit" } as never);
    expect(made.components["parameters"]?.["limit"]).toMatchObject({ schema: { type: "integer", minimum: 1, maximum: 200 } });
    expect(made.components["schemas"]).toMatchObject({
      TaskStatus: { type: "string", enum: ["scheduled", "queued", "in progress", "retrying", "done", "failed", "cancelled"] },
      Task: { properties: { attempt: { type: "integer" }, progress: { type: ["number", "null"] }, seq: { type: "integer" } } },
    });
  });
});

describe("the tasks on offer", () => {
  test("each have an operation with their own fields, in front of those about tasks in general", async () => {
    const made = await document([
      ...builtinPolicies,
      policy("greet", { type: "object", properties: { name: { type: "string" } } }, "Greets."),
    ]);
    const paths = Object.keys(made.paths).filter((path) => path.startsWith("/tasks"));
    expect(paths.slice(0, 4)).toEqual(["/tasks/parse", "/tasks/greet", "/tasks/{task}", "/tasks/definitions"]);
    const parse = operationOf(made, "post", "/tasks/parse");
    expect(parse).toMatchObject({ operationId: "submit_parse", tags: ["tasks"], security: [{ bearer: [] }] });
    expect(parse.requestBody?.content["application/json"]).toEqual({
      schema: { $ref: "#/components/schemas/input.parse" },
      example: { url: "https://example.com/", max_pages: 1, same_origin: true },
    });
    expect(parse.parameters?.map((each) => Object.values(each).join())).toEqual([
      "#/components/parameters/delay",
      "#/components/parameters/priority",
      "#/components/parameters/Idempotency-Key",
    ]);
    expect(Object.keys(parse.responses)).not.toContain("404");
    expect(made.components["schemas"]?.["input.parse"]).toMatchObject({
      required: ["url"],
      properties: { max_pages: { maximum: 500 } },
    });
    expect(operationOf(made, "post", "/tasks/greet").description).toBe("Greets.\n\nQueue `mail`; one attempt of at most 90 s.");
    const batch = operationOf(made, "post", "/tasks/{name}/batch");
    expect(batch.requestBody?.content["application/json"]?.example).toEqual([
      { url: "https://example.com/", max_pages: 1, same_origin: true },
    ]);
    expect(JSON.stringify(batch.parameters)).toContain("/delay");
    expect(JSON.stringify(batch.parameters)).not.toContain("Idempotency-Key");
    expect(made.paths["/tasks/definitions"]).not.toHaveProperty("post");
    expect(made.paths["/tasks/parse/batch"]).toBeUndefined();
  });

  test("keep what their schemas refer to in themselves", async () => {
    const ajv = new Ajv2020({ strict: false });
    ajv.addSchema((await document([policy("tree", TREE)])) as object, "document");
    const check = ajv.compile({ $ref: "document#/components/schemas/input.tree" });
    expect(check({ label: "a", children: [{ label: "b", children: [] }] })).toBe(true);
    expect(check({ label: "a", children: [{ label: 1 }] })).toBe(false);
  });
});
