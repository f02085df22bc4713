import { Elysia } from "elysia";
import { InvalidInput } from "../domain/errors.ts";
import { HttpError } from "./problem.ts";

/** The largest body that is read. */
export const BODY_MAX_BYTES = 1_048_576;

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/**
 * Reads a request's JSON body. A body without a content type counts as JSON; an empty one is undefined, which no
 * schema accepts.
 *
 * @throws HttpError 413 `body_too_large`, 415 `unsupported_media_type`; InvalidInput `invalid_json`
 */
export async function readJson(request: Request): Promise<unknown> {
  refuseLargeBody(request);
  const type = request.headers.get("content-type");
  if (type !== null && !JSON_TYPE.test(type))
    throw new HttpError(415, "unsupported_media_type", "the body must be application/json");
  // With a declared length the server has bounded it; without one it is counted.
  const text = request.headers.has("content-length") ? await request.text() : await readBounded(request);
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new InvalidInput("invalid_json", "the body is no JSON");
  }
}

/**
 * By the declared length alone, before anything is read; for routes that ignore the body as well.
 *
 * @throws HttpError 413 `body_too_large`
 */
export function refuseLargeBody(request: Request): void {
  const length = request.headers.get("content-length");
  if (length !== null && Number(length) > BODY_MAX_BYTES) throw tooLarge();
}

/** Gives routes the parser `artel-json`: `{ parse: "artel-json", body: t.Object(…) }`. */
export const jsonBody = new Elysia({ name: "artel/json-body" }).parser("artel-json", ({ request }) => readJson(request));

async function readBounded(request: Request): Promise<string> {
  if (!request.body) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > BODY_MAX_BYTES) throw tooLarge();
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function tooLarge(): HttpError {
  return new HttpError(413, "body_too_large", "the body is larger than 1 MiB");
}
