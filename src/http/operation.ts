import type { DocumentDecoration, TSchema } from "elysia";
import { BEARER_SECURITY } from "./bearer.ts";
import { problemResponses, type ResponsesDocument } from "./problem.ts";

/** What the routes for those who are logged in have in common. */

/** What a route answers when all is well. */
type Success = readonly [status: number, meaning: string, schema: TSchema, headers?: object];

/** A route's part of the OpenAPI document. The answers are declared here and not as `response`, which would check each at run time. */
export function describe(
  operationId: string,
  summary: string,
  [status, meaning, schema, headers]: Success,
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

/** As `describe`, of a route for admins. */
export const describeForAdmins = (
  operationId: string,
  summary: string,
  success: Success,
  problems: readonly number[] = [],
): DocumentDecoration => describe(operationId, `${summary}; for admins`, success, [403, ...problems], { tags: ["operations"] });

/**
 * An answer whose JSON is written already. Its type is what clients will read, which `App` tells them; nothing checks it here but
 * the tests that hold the answers against their schemas.
 */
export function json<Answer>(status: number, text: string, headers: Record<string, string> = {}): Answer {
  return new Response(text, { status, headers: { "content-type": "application/json", ...headers } }) as Answer;
}
