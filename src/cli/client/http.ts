/** What the server says is wrong with a call: its problem document. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** A stable snake_case word. */
  readonly code: string;
  /** Where an input is wrong. */
  readonly problems: readonly { readonly path: string; readonly message: string }[];

  constructor(status: number, code: string, detail: string, problems: ApiError["problems"] = []) {
    super(detail);
    this.status = status;
    this.code = code;
    this.problems = problems;
  }
}

/** Nobody answered. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";

  constructor(server: string, cause: unknown) {
    super(`${server} does not answer: ${reasonOf(cause)}`, { cause });
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
  const problems = Array.isArray(errors) ? (errors as ApiError["problems"]) : [];
  return new ApiError(status, code, String(detail ?? title ?? code), problems);
}

function notArtel(status: number): never {
  throw new ApiError(status, "not_artel", `this server answers as no Artel server does (HTTP ${status}): is --server right?`);
}

function parsed(text: string): unknown {
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
  if (code === "ConnectionRefused") return "the connection was refused";
  return message ?? String(cause);
}
