import { Type } from "@sinclair/typebox";
import { type ValueError, ValueErrorType } from "@sinclair/typebox/errors";
import { type DocumentDecoration, type Elysia, InvertedStatusMap, ParseError, ValidationError } from "elysia";
import {
  ArtelError,
  Conflict,
  Forbidden,
  type InputProblem,
  InvalidInput,
  NotFound,
  TooMany,
  Unauthorized,
  Unavailable,
} from "../domain/errors.ts";
import type { Log } from "../ports/runtime.ts";

/** The one shape of every error answer (RFC 9457). Not by Elysia's `t`, whose Integer is documented as a text as well. */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: "Always about:blank: `code` tells problems apart." }),
    title: Type.String({ description: "The status in words." }),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ description: "What went wrong, for people." }),
    code: Type.String({ description: "What went wrong, for programs: a stable snake_case word." }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          path: Type.String({ description: "JSON Pointer into the input; empty for the whole." }),
          message: Type.String(),
        }),
        {
          description: "Each thing that is wrong with the input.",
        },
      ),
    ),
  },
  { description: "An error" },
);

/** `detail.responses` of a route. */
export type ResponsesDocument = NonNullable<DocumentDecoration["responses"]>;
type ResponseContent = NonNullable<Extract<ResponsesDocument[string], { content?: unknown }>["content"]>;

export type Problem = typeof ProblemSchema.static;

export const PROBLEM_TYPE = "application/problem+json";

/** What only HTTP knows: a method, a media type or a size that is not taken. */
export class HttpError extends ArtelError {
  override readonly name = "HttpError";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(code, message);
    this.status = status;
    this.headers = headers;
  }
}

interface Answer {
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;
}

/** Of wrong inputs the first so many are told. */
const ERRORS_MAX = 20;

/** The one mapping from errors to answers. Nothing of the input and nothing internal is ever repeated. */
export function problemOf(thrown: unknown): Answer {
  const error = unwrap(thrown);
  if (error instanceof HttpError) return answer(error.status, error.code, error.message, error.headers);
  if (error instanceof InvalidInput)
    return invalid(error.code === "invalid_json" ? 400 : 422, error.code, error.message, error.problems);
  if (error instanceof NotFound) return answer(404, error.code, error.message);
  if (error instanceof Conflict) return answer(409, error.code, error.message);
  if (error instanceof Unauthorized)
    return answer(401, error.code, error.message, { "www-authenticate": 'Bearer realm="artel"' });
  if (error instanceof Forbidden) return answer(403, error.code, error.message);
  if (error instanceof TooMany)
    return answer(429, error.code, error.message, { "retry-after": retryAfterSeconds(error.retryAfterMs) });
  if (error instanceof Unavailable) return answer(503, error.code, error.message);
  if (error instanceof ValidationError && error.type !== "response")
    return invalid(422, "invalid_input", "the input is not as declared", validationProblems(error));
  if (error instanceof ParseError) return answer(400, "invalid_json", "the body is no JSON");
  if (codeOf(error) === "NOT_FOUND") return answer(404, "not_found", "there is nothing at this address");
  return answer(500, "internal", "the service failed; the failure was written to its log");
}

/** A plain response, for where there is no Elysia handler around. */
export function problemResponse(thrown: unknown): Response {
  const { problem, headers } = problemOf(thrown);
  return new Response(JSON.stringify(problem), { status: problem.status, headers: { ...headers, "content-type": PROBLEM_TYPE } });
}

export interface ProblemHandlerOptions {
  readonly log: Log;
  /** The id that the log knows a request by. */
  readonly requestId?: (request: Request) => string | undefined;
  /** The methods that a path has, for 405; see `methodsOf`. */
  readonly methodsAt?: (path: string) => readonly string[];
}

interface ErrorContext {
  readonly error: unknown;
  readonly request: Request;
  readonly path: string;
  readonly set: { status?: number | string };
}

/** For `app.onError(…)`. The log is told of 5xx alone, by path: a query may carry a ticket. */
export function problemHandler({ log, requestId, methodsAt }: ProblemHandlerOptions) {
  return function onError({ error, request, path, set }: ErrorContext): Response {
    const methods = codeOf(error) === "NOT_FOUND" ? (methodsAt?.(path) ?? []) : [];
    const response = problemResponse(methods.length > 0 ? methodNotAllowed(request.method, methods) : error);
    if (response.status >= 500) {
      const fields = {
        request_id: requestId?.(request),
        method: request.method,
        path,
        status: response.status,
        error: error instanceof Unavailable ? reasonOf(error) : describe(error),
      };
      if (response.status === 500) log.error("request failed", fields);
      else log.warn("request could not be served", fields);
    }
    set.status = response.status;
    return response;
  };
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** Which methods an app serves at a path: Elysia itself answers 404 for a wrong one. */
export function methodsOf(app: Pick<Elysia, "router">): (path: string) => string[] {
  return (path) => {
    const fixed: Readonly<Record<string, unknown>> = app.router.static[path] ?? {};
    const found = METHODS.filter((method) => method in fixed || app.router.http.find(method, path) !== null);
    return found.includes("GET") ? [...found, "HEAD"] : found;
  };
}

const PROBLEM_MEANINGS: Readonly<Record<number, string>> = {
  400: "The body is no JSON",
  401: "No token or a bad one",
  403: "Not allowed",
  404: "There is no such thing, or it is somebody else's",
  409: "Not possible in the present state",
  413: "The body is larger than 1 MiB",
  415: "The body is not declared as JSON",
  422: "The input is not as declared",
  429: "Too many; Retry-After says when to come back",
  503: "Not possible at the moment",
};

/** The error answers of a route, for its `detail.responses` in the OpenAPI document. */
export function problemResponses(...statuses: number[]): ResponsesDocument {
  // A TypeBox schema is a JSON Schema, which OpenAPI's types do not see.
  const content = { [PROBLEM_TYPE]: { schema: ProblemSchema as unknown } } as ResponseContent;
  return Object.fromEntries(
    statuses.map((status) => [String(status), { description: PROBLEM_MEANINGS[status] ?? titleOf(status), content }]),
  );
}

function answer(status: number, code: string, detail: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { problem: { type: "about:blank", title: titleOf(status), status, detail, code }, headers };
}

function invalid(status: number, code: string, detail: string, problems: readonly InputProblem[]): Answer {
  const { problem, headers } = answer(status, code, detail);
  const errors = problems.slice(0, ERRORS_MAX).map(({ path, message }) => ({ path, message }));
  return { problem: errors.length > 0 ? { ...problem, errors } : problem, headers };
}

function methodNotAllowed(method: string, allowed: readonly string[]): HttpError {
  return new HttpError(405, "method_not_allowed", `${method} is not possible here`, { allow: allowed.join(", ") });
}

/** The first problem of each place: a missing field is told once, not once as missing and once as of the wrong type. */
function validationProblems(error: ValidationError): InputProblem[] {
  const problems = new Map<string, InputProblem>();
  for (const found of error.all) {
    const { path } = found as { path?: unknown };
    const place = typeof path === "string" ? path : "";
    if (!problems.has(place)) problems.set(place, { path: place, message: whatIsWrong(found as Partial<ValueError>) });
  }
  return [...problems.values()];
}

/** In the words that tasks' inputs are refused with. */
function whatIsWrong({ type, schema, message = "is not as declared" }: Partial<ValueError>): string {
  if (type === ValueErrorType.ObjectRequiredProperty) return "required";
  if (type === ValueErrorType.ObjectAdditionalProperties) return "unknown field";
  const words: unknown[] = (schema?.["anyOf"] ?? []).map((each: { const?: unknown }) => each.const);
  return words.length > 0 && !words.includes(undefined) ? `must be one of ${words.join(", ")}` : message;
}

/** Elysia wraps whatever a parser throws; what we threw there ourselves is meant. */
function unwrap(error: unknown): unknown {
  return error instanceof ParseError && error.cause instanceof ArtelError ? error.cause : error;
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null | undefined)?.code;
}

/** A status in words. */
export function titleOf(status: number): string {
  return InvertedStatusMap[status as keyof typeof InvertedStatusMap] ?? "Error";
}

function retryAfterSeconds(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1_000)));
}

/** In one line: under load there are many of these, and the log may be on the same disk. */
function reasonOf({ code, message, cause }: Unavailable): string {
  return `${code}: ${cause instanceof Error ? cause.message : message}`;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // A ValidationError's message holds the input; that of a response may hold anything.
  const text =
    error instanceof ValidationError
      ? `the answer is not as declared: ${JSON.stringify(validationProblems(error))}`
      : (error.stack ?? error.message);
  return error.cause === undefined ? text : `${text}\ncaused by ${describe(error.cause)}`;
}
