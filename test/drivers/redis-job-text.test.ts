import { expect, test } from "bun:test";
import fc from "fast-check";
import { jobsOf, messageOf } from "../../src/drivers/redis/job-text.ts";
import { lineOf, SEPARATOR } from "../../src/drivers/redis/keys.ts";
import type { Job } from "../../src/ports/broker.ts";

const word = fc.stringMatching(/^[a-z][a-z0-9_-]{0,20}$/);
const job: fc.Arbitrary<Job> = fc.record({
  id: fc.uuid(),
  fence: fc.integer({ min: 1, max: 2 ** 40 }),
  name: word,
  queue: word,
  priority: fc.constantFrom("high", "normal", "low"),
  owner: fc.uuid(),
  attempt: fc.integer({ min: 1, max: 1_000 }),
  maxAttempts: fc.integer({ min: 1, max: 1_000 }),
  alone: fc.boolean(),
  args: fc.json().map((text) => JSON.stringify(JSON.parse(text))),
});

/** As it stands in Redis while it waits. */
const entryOf = (each: Job): string => `${each.fence} q ${lineOf(each)}${SEPARATOR}${each.owner}\n${messageOf(each)}`;

test("a job is read as it was written, whatever its input holds", () => {
  fc.assert(
    fc.property(fc.array(job, { maxLength: 5 }), (jobs) => {
      expect(jobsOf(jobs.flatMap((each) => [each.id, entryOf(each)]))).toEqual(jobs);
      for (const each of jobs) expect(messageOf(each)).not.toContain("\n");
    }),
  );
});
