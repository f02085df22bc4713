// Hands a message to another service, which may be down, be busy, or refuse it.
// Shows: ctx.fetch, a retry when the service says that it is time, none after a final answer, no message taken twice.
// artel run call --url https://example.com/orders --body '{"item":7}' --watch
import { NonRetryableError, TaskError, t, task } from "artel";

/** Answers that ask for patience, though their numbers say that the request was wrong. */
const LATER = new Set([408, 425, 429]);

export default task({
  description: "Hands a message to another service",
  input: t.Object({
    url: t.String({ format: "uri" }),
    body: t.Unknown({ description: "Sent as JSON" }),
  }),
  retry: { attempts: 8, backoff: "2s", maxBackoff: "10m" },
  timeout: "1m",

  async run({ url, body }, ctx) {
    // Refuses addresses that are not on the public internet, and ends when the task is cancelled or its time is up.
    const response = await ctx.fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        // The same in each attempt: if the answer was lost, the service can tell that it has the message already.
        "idempotency-key": ctx.idempotencyKey,
      },
      body: JSON.stringify(body),
    });
    const { status } = response;
    const text = await response.text();
    if (response.ok) return { status, text };

    ctx.log.warn("attempt", ctx.attempt, "was answered", status, text.slice(0, 200));
    // The same message would be refused again: no attempt follows.
    if (status < 500 && !LATER.has(status))
      throw new NonRetryableError("refused", `the service refused the message with ${status}`);
    const waitMs = retryAfterMs(response);
    if (waitMs !== undefined) ctx.retryIn(waitMs, `the service asked for patience with ${status}`);
    // Anything else that is thrown is tried again, after a longer wait each time.
    throw new TaskError("service_down", `the service answered ${status}`);
  },
});

/** What Retry-After asks for, in seconds or as a date. */
function retryAfterMs({ headers }: Response): number | undefined {
  const value = headers.get("retry-after");
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
