import type { DocumentDecoration, TSchema } from "elysia";
import { InvalidInput } from "../domain/errors.ts";
import { BEARER_SECURITY } from "./bearer.ts";
import { problemResponses, type ResponsesDocument } from "./problem.ts";

/** What the routes of tasks and of workflows have in common. */

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

/** A route's part of the OpenAPI document. */
export function describe(
  operationId: string,
  summary: string,
  [status, meaning, schema, headers]: readonly [status: number, meaning: string, schema: TSchema, headers?: object],
  problems: readonly number[],
  more: DocumentDecoration = {},
): DocumentDecoration {
  const success = {
    [String(status)]: { description: meaning, ...(headers && { headers }), content: { "application/json": { schema } } },
  } as ResponsesDocument;
  return {
    operationId,
    summary,
    tags: ["tasks"],
    security: BEARER_SECURITY,
    responses: { ...success, ...problemResponses(401, ...problems) },
    ...more,
  };
}

/**
 * An answer whose JSON is written already. Its type is what clients will read, which `App` tells them; nothing checks it here but
 * the tests that hold the answers against their schemas.
 */
export function json<Answer>(status: number, text: string, headers: Record<string, string> = {}): Answer {
  return new Response(text, { status, headers: { "content-type": "application/json", ...headers } }) as Answer;
}

/** The header Idempotency-Key; undefined: there is none. @throws InvalidInput `invalid_idempotency_key` */
export function idempotencyKeyOf(request: Request): string | undefined {
  const key = request.headers.get("idempotency-key");
  if (key === null) return undefined;
  if (IDEMPOTENCY_KEY.test(key)) return key;
  throw new InvalidInput("invalid_idempotency_key", "Idempotency-Key must be 1 to 255 visible ASCII characters");
}
