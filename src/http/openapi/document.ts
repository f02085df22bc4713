import { type AnyElysia, Elysia } from "elysia";
import type { TaskPolicy } from "../../domain/definition.ts";
import * as auth from "../auth.ts";
import { ChecksSchema } from "../health.ts";
import { ProblemSchema, titleOf } from "../problem.ts";
import * as tasks from "../task-schemas.ts";
import * as workflows from "../workflow-schemas.ts";
import { exampleOf } from "./example.ts";
import { mapPaths, mapSchemas, mapValues, type Operation, type Parameter, type Paths, shareRepeated } from "./operations.ts";
import { nameSchemas, relocate, type Schema, schemaPath, tidy } from "./schemas.ts";

export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: Readonly<Record<string, unknown>>;
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Paths;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const DESCRIPTION = `Accounts, background tasks and live progress.

**To begin:** create an account, log in (this page then authorises itself), submit a task, and read it by its \`task_id\`.

Requests and answers are JSON; times are RFC 3339 in UTC. Errors are \`application/problem+json\`, see \`Problem\`, with a
stable \`code\`. Fields that are not declared are refused, and so are values of another type.`;

const TAGS = [
  { name: "accounts", description: "Accounts and sessions" },
  { name: "tasks", description: "Submit tasks, follow, cancel and retry them" },
  { name: "workflows", description: "Tasks that wait for each other" },
  { name: "notices", description: "What happens to tasks and workflows, as it happens" },
  { name: "operations", description: "For whoever runs the service" },
];

/** Schemas with a name of their own in the document. */
const NAMED: Readonly<Record<string, object>> = {
  Registration: auth.RegisterBody,
  Credentials: auth.CredentialsBody,
  RefreshRequest: auth.RefreshBody,
  PasswordChange: auth.PasswordBody,
  Account: auth.AccountAnswer,
  Tokens: auth.TokensAnswer,
  Ticket: auth.TicketAnswer,
  Task: tasks.TaskSchema,
  TaskSummary: tasks.TaskSummarySchema,
  TaskPage: tasks.TaskPageSchema,
  TaskStatus: tasks.StatusSchema,
  TaskPriority: tasks.PrioritySchema,
  TaskError: tasks.ErrorSchema,
  TaskLog: tasks.LogSchema,
  TaskDefinition: tasks.DefinitionSchema,
  TaskAccepted: tasks.AcceptedSchema,
  BatchAccepted: tasks.BatchAcceptedSchema,
  Workflow: workflows.WorkflowSchema,
  WorkflowSummary: workflows.WorkflowSummarySchema,
  WorkflowPage: workflows.WorkflowPageSchema,
  WorkflowStatus: workflows.WorkflowStatusSchema,
  WorkflowCounts: workflows.CountsSchema,
  WorkflowAccepted: workflows.WorkflowAcceptedSchema,
  WorkflowDescription: workflows.DescriptionSchema,
  WorkflowNode: workflows.NodeSchema,
  WorkflowStep: workflows.StepSchema,
  Checks: ChecksSchema,
  Problem: ProblemSchema,
};

/** Headers of error answers, by status. */
const ERROR_HEADERS: Readonly<Record<string, object>> = {
  401: { "WWW-Authenticate": { schema: { type: "string" } } },
  429: { "Retry-After": { description: "Seconds.", schema: { type: "integer", minimum: 1 } } },
};

export interface DocumentParts {
  readonly version: string;
  /** An app of its own for the description; no route of it is called. */
  readonly app: AnyElysia;
  readonly definitions: readonly TaskPolicy[];
}

/** The OpenAPI document of the app's routes, with an operation for each task that can be submitted. */
export async function openapiDocument({ version, app, definitions }: DocumentParts): Promise<OpenApiDocument> {
  const { refer, components: schemas } = nameSchemas(mapValues(NAMED, (schema) => tidy(plain(schema))));
  const described = mapPaths(renamed(await rawPaths(app)), (operation, path, method) => {
    const clean = mapSchemas(withParameters(operation, path, method), tidy);
    return withErrorHeaders(mapSchemas(clean, refer));
  });
  const { paths, components } = shareRepeated(withTasks(described, definitions), errorName);
  const inputs = Object.fromEntries(definitions.map((policy) => [inputName(policy), placed(policy.input, inputName(policy))]));
  const outputs = Object.fromEntries(
    definitions.flatMap((policy) => (policy.output ? [[outputName(policy), placed(policy.output, outputName(policy))]] : [])),
  );
  return {
    openapi: "3.1.0",
    info: {
      title: "Artel",
      version,
      description: DESCRIPTION,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    tags: TAGS,
    paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "The `access_token` of POST /auth/login." },
      },
      schemas: { ...schemas, ...inputs, ...outputs },
      ...components,
    },
  };
}

/** What the plugin makes of the routes. It is loaded here, so that only who asks for the document pays for it. */
async function rawPaths(app: AnyElysia): Promise<Paths> {
  const { swagger } = await import("@elysiajs/swagger");
  const specPath = "/-/document";
  const describing = new Elysia().use(swagger({ path: "/-/page", specPath, excludeStaticFile: false })).use(app);
  const response = await describing.handle(new Request(`http://localhost${specPath}`));
  return ((await response.json()) as { paths: Paths }).paths;
}

/** TypeBox's schemas carry symbols that no JSON has. */
const plain = (schema: object): Schema => JSON.parse(JSON.stringify(schema)) as Schema;

/**
 * The router wants one parameter name in a place; here it is called what it is. `/tasks/{…}` alone takes a definition's
 * name with POST and a task's id with GET: OpenAPI counts paths that differ in a parameter's name only as the same one.
 */
function renamed(paths: Paths): Paths {
  return Object.fromEntries(
    Object.entries(paths).map(([path, methods]) => {
      const plainPath = path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
      if (plainPath === "/tasks/{name}") return ["/tasks/{task}", methods];
      return [plainPath.replace(/^\/tasks\/\{name\}\/(?!batch$)/, "/tasks/{task_id}/"), methods];
    }),
  );
}

const TASK_ID = { description: "The task's id.", schema: { type: "string", format: "uuid" } };
const WORKFLOW_ID = { ...TASK_ID, description: "The workflow's id." };
const TASK_NAME = {
  description: "What to run: a name of GET /tasks/definitions.",
  schema: { type: "string", maxLength: 64 },
};

/** The path's own parameters first, then those that the route declares, each as OpenAPI has it. */
function withParameters({ parameters = [], ...operation }: Operation, path: string, method: string): Operation {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]): Parameter => {
    const isName = name === "name" || (name === "task" && method === "post");
    const id = name === "workflow_id" ? WORKFLOW_ID : TASK_ID;
    return { name, in: "path", required: true, ...(isName ? TASK_NAME : id) };
  });
  const declared = parameters.filter((parameter) => parameter.in !== "path").map(declaredParameter);
  const all = [...inPath, ...declared];
  return all.length === 0 ? operation : { ...operation, parameters: all };
}

/** The description belongs to the parameter, a list of examples to its schema. */
function declaredParameter(parameter: Parameter & { readonly examples?: unknown }): Parameter {
  const { name, in: place, required = false, examples, schema } = parameter;
  const { description = parameter.description, ...rest } = schema;
  return {
    name,
    in: place,
    ...(typeof description === "string" && { description }),
    required,
    schema: examples === undefined ? rest : { ...rest, examples },
  };
}

function withErrorHeaders(operation: Operation): Operation {
  return {
    ...operation,
    responses: mapValues(operation.responses, (answer, status) =>
      status in ERROR_HEADERS ? { ...answer, headers: ERROR_HEADERS[status] as NonNullable<typeof answer.headers> } : answer,
    ),
  };
}

/** `TooManyRequests` */
function errorName(status: string): string {
  return titleOf(Number(status)).replaceAll(/\W/g, "");
}

/** The page shows paths in their order: first to submit each task on offer, then to read one, then the rest. */
function withTasks(paths: Paths, definitions: readonly TaskPolicy[]): Paths {
  const { "/tasks/{task}": one, "/tasks/{name}/batch": batch } = paths;
  const [first] = definitions;
  if (!one?.["post"] || !batch?.["post"] || first === undefined) return paths;
  const { post: generic, ...reading } = one;
  const example = exampleOf(first.input);
  const concrete = definitions.map((policy) => [`/tasks/${policy.name}`, { post: submission(generic, policy) }] as const);
  const others = Object.entries({
    ...paths,
    "/tasks/{name}/batch": { ...batch, post: withExample(batch["post"], first.name, [example]) },
  }).filter(([path]) => path !== "/tasks/{task}");
  const start = others.findIndex(([path]) => path.startsWith("/tasks"));
  return Object.fromEntries([
    ...others.slice(0, start),
    ...concrete,
    ["/tasks/{task}", { ...reading, post: withExample(generic, first.name, example) }],
    ...others.slice(start),
  ]);
}

/** A submission whose name and body go together. */
function withExample(operation: Operation, name: string, example: unknown): Operation {
  const schema = operation.requestBody?.content["application/json"]?.schema ?? {};
  return {
    ...operation,
    parameters: (operation.parameters ?? []).map((each) => (each.in === "path" ? { ...each, example: name } : each)),
    requestBody: { required: true, content: { "application/json": { schema, example } } },
  };
}

function submission(generic: Operation, policy: TaskPolicy): Operation {
  const { "404": _, ...responses } = generic.responses;
  const schema = { $ref: schemaPath(inputName(policy)) };
  const attempts = policy.retry.maxAttempts === 1 ? "one attempt" : `up to ${policy.retry.maxAttempts} attempts`;
  const limits = `Queue \`${policy.queue}\`; ${attempts} of at most ${policy.timeoutMs / 1_000} s.${policy.output ? ` The result: \`${outputName(policy)}\`.` : ""}`;
  return {
    ...generic,
    operationId: `submit_${policy.name}`,
    summary: `Submit the task ${policy.name}`,
    description: policy.description === "" ? limits : `${policy.description}\n\n${limits}`,
    parameters: (generic.parameters ?? []).filter((parameter) => parameter.in !== "path"),
    requestBody: { required: true, content: { "application/json": { schema, example: exampleOf(policy.input) } } },
    responses,
  };
}

/** No name of ours has a dot in it, and no two tasks share a name. */
const inputName = ({ name }: TaskPolicy): string => `input.${name}`;
const outputName = ({ name }: TaskPolicy): string => `output.${name}`;

const placed = (schema: Schema, name: string): Schema => tidy(relocate(schema, schemaPath(name)));
