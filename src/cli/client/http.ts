import { ArtelError, type InputProblem } from "../../domain/errors.ts";
import { clean } from "./show.ts";

/** What the server says is wrong with a call: its problem document. */
export class ApiError extends ArtelError {
  override readonly name = "ApiError";
  readonly status: number;
  /** Where an input is wrong. */
  readonly problems: readonly InputProblem[];

  constructor(status: number, code: string, detail: string, problems: readonly InputProblem[] = []) {
    super(code, detail);
    this.status = status;
    this.problems = problems;
  }
}

/** Nobody answered. */
export class Unreachable extends ArtelError {
  override readonly name = "Unreachable";
  readonly server: string;
  readonly reason: string;

  constructor(server: string, cause: unknown) {
    const reason = reasonOf(cause);
    super("unreachable", `${server} does not answer: ${reason}`, { cause });
    this.server = server;
    this.reason = reason;
  }
}

/** A call takes at most so long, in milliseconds. */
const LIMIT_MS = 30_000;

export interface Call {
  readonly method?: "GET" | "POST";
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * One call to the API.
 *
 * @param server as `http://HOST:PORT`
 * @returns the answer's JSON; undefined: it has no body
 * @throws ApiError, Unreachable
 */
export async function call(server: string, path: string, { method = "GET", token, body, headers }: Call = {}): Promise<unknown> {
  const answer = await fetch(`${server}${path}`, {
    method,
    headers: {
      ...headers,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    redirect: "error",
    signal: AbortSignal.timeout(LIMIT_MS),
  }).catch((cause: unknown) => {
    throw new Unreachable(server, cause);
  });
  const text = await answer.text().catch((cause: unknown) => {
    throw new Unreachable(server, cause);
  });
  if (!answer.ok) throw problemOf(answer.status, text);
  if (text === "") return undefined;
  return parsed(text) ?? notArtel(answer.status);
}

function problemOf(status: number, text: string): ApiError {
  const { code, detail, title, errors } = (parsed(text) ?? {}) as Partial<
    Record<"code" | "detail" | "title" | "errors", unknown>
  >;
  if (typeof code !== "string") return notArtel(status);
  const problems = Array.isArray(errors) ? (errors as readonly InputProblem[]) : [];
  return new ApiError(status, code, clean(String(detail ?? title ?? code)), problems);
}

function notArtel(status: number): never {
  throw new ApiError(status, "not_artel", `this server answers as no Artel server does (HTTP ${status}): is --server right?`);
}

/** The value of a JSON text; undefined: it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** What is known of a failed connection, in one line. */
function reasonOf(cause: unknown): string {
  const { code, name, message } = cause as { code?: unknown; name?: string; message?: string };
  if (name === "TimeoutError") return "no answer in time";
  if (code === "ConnectionRefused" || code === "ECONNREFUSED") return "the connection was refused";
  return message ?? String(cause);
}
