import { InvalidInput } from "../domain/errors.ts";
import { HttpError } from "./problem.ts";

/** The largest body that is read. */
export const BODY_MAX_BYTES = 1_048_576;

/** Arrays and objects inside of each other: what is deeper overflows the stack of whoever walks through it. */
export const BODY_MAX_DEPTH = 1_000;

const [QUOTE, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];
const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/**
 * Reads a request's JSON body. A body without a content type counts as JSON; an empty one is null, which no schema
 * accepts (undefined would have Elysia read it again).
 *
 * @throws HttpError 413 `body_too_large`, 415 `unsupported_media_type`; InvalidInput `invalid_json`, `invalid_input` where it
 *   is nested too deeply
 */
export async function readJson(request: Request): Promise<unknown> {
  refuseLargeBody(request);
  const type = request.headers.get("content-type");
  if (type !== null && !JSON_TYPE.test(type))
    throw new HttpError(415, "unsupported_media_type", "the body must be application/json");
  // With a declared length the server has bounded it; without one it is counted.
  const text = request.headers.has("content-length") ? await request.text() : await readBounded(request);
  if (text === "") return null;
  refuseDeepText(text);
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

/** Before it is parsed; whether it is JSON is the parser's to say. Short texts cannot be deep. */
function refuseDeepText(text: string): void {
  if (text.length <= 2 * BODY_MAX_DEPTH) return;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) at = endOfString(text, at);
    else if (char === OPEN_ARRAY || char === OPEN_OBJECT) depth += 1;
    else if (char === CLOSE_ARRAY || char === CLOSE_OBJECT) depth -= 1;
    if (depth > BODY_MAX_DEPTH) throw tooDeep();
  }
}

/** Where the string that begins at `start` has its other quote; the text's end where it has none. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end;
    while (text.charCodeAt(before - 1) === BACKSLASH) before -= 1;
    if ((end - before) % 2 === 0) return end;
  }
  return text.length;
}

/** The `parse` of a route; a function that reads the request comes first, see `jsonBody`. */
export type BodyParsers = [read: (context: { request: Request }) => Promise<unknown>, documented: "json"];

/**
 * The `parse` of routes with a JSON body: `{ parse: jsonBody(), body: t.Object(…) }`. Elysia's own parser after ours
 * never runs; it tells the OpenAPI document what is read.
 */
export function jsonBody(): BodyParsers {
  return [({ request }) => readJson(request), "json"];
}

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

function tooDeep(): InvalidInput {
  const message = `nested deeper than ${BODY_MAX_DEPTH}`;
  return new InvalidInput("invalid_input", `the body is ${message}`, [{ path: "", message }]);
}

function tooLarge(): HttpError {
  return new HttpError(413, "body_too_large", "the body is larger than 1 MiB");
}
