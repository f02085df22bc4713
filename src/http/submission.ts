import type { DocumentDecoration, TSchema } from "elysia";
import { parseDelay } from "../domain/duration.ts";
import { InvalidInput } from "../domain/errors.ts";
import type { Priority } from "../domain/task.ts";
import type { SubmitOptions } from "../services/tasks.ts";

/** What a submission takes beside its body: delay, priority and the header Idempotency-Key. */

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

interface Query {
  readonly delay?: string;
  readonly priority?: Priority;
}

/** @throws InvalidInput `invalid_delay`, `invalid_idempotency_key` */
export function submitOptions({ delay, priority }: Query, request: Request): SubmitOptions {
  const idempotencyKey = idempotencyKeyOf(request);
  return {
    ...(delay === undefined ? {} : { delayMs: parseDelay(delay) }),
    ...(priority === undefined ? {} : { priority }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  };
}

/**
 * Said again for the document: a detail's parameters take the place of those of the schemas there. The header stands in
 * the document only: a schema would have the router copy every header of every request.
 *
 * @param repeats what the header does
 */
export function submitParameters(
  query: { readonly properties: Readonly<Record<string, TSchema>> },
  repeats: string,
): NonNullable<DocumentDecoration["parameters"]> {
  const header = {
    name: "Idempotency-Key",
    in: "header",
    description: repeats,
    schema: { type: "string", minLength: 1, maxLength: 255 },
  };
  const named = Object.entries(query.properties).map(([name, schema]) => ({ name, in: "query", schema }));
  return [...named, header] as NonNullable<DocumentDecoration["parameters"]>;
}

/** Undefined: there is none. */
function idempotencyKeyOf(request: Request): string | undefined {
  const key = request.headers.get("idempotency-key");
  if (key === null) return undefined;
  if (IDEMPOTENCY_KEY.test(key)) return key;
  throw new InvalidInput("invalid_idempotency_key", "Idempotency-Key must be 1 to 255 visible ASCII characters");
}
