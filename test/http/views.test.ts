import { describe, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import fc from "fast-check";
import { NEVER, PRIORITIES, STATUSES } from "../../src/domain/task.ts";
import { TaskSchema, TaskSummarySchema } from "../../src/http/task-schemas.ts";
import { iso, NOTICE_RESULT_BYTES, noticeJson, taskJson, taskSummaryJson, tooLargeForNotice } from "../../src/http/views.ts";
import type { TaskWithBody } from "../../src/ports/tasks.ts";

// Lone surrogates, controls, quotes: whatever a string can hold.
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.integer({ min: 0, max: 0xff_ff }).map((c) => String.fromCharCode(c)) }),
);
const time = fc.integer({ min: 0, max: 8.64e15 });
const json = fc.jsonValue().map((value) => JSON.stringify(value));

const task: fc.Arbitrary<TaskWithBody> = fc.record({
  id: fc.uuid(),
  owner: fc.nat(),
  workflow: fc.option(fc.uuid()),
  ownerId: fc.uuid(),
  n: fc.nat(),
  seq: fc.maxSafeNat(),
  name: text,
  queue: text,
  priority: fc.constantFrom(...PRIORITIES),
  status: fc.constantFrom(...STATUSES),
  attempt: fc.nat(),
  maxAttempts: fc.nat(),
  fence: fc.nat(),
  dispatched: fc.boolean(),
  deaths: fc.nat(),
  cancelRequested: fc.boolean(),
  progress: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  message: fc.option(text),
  error: fc.option(fc.record({ code: text, message: text })),
  createdAt: time,
  runAt: time,
  startedAt: fc.option(time),
  finishedAt: fc.option(time),
  args: json,
  result: fc.option(json),
});

const at = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
/** JSON has no -0. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const summaryOf = (of: TaskWithBody) => ({
  task_id: of.id,
  owner_id: of.ownerId,
  name: of.name,
  queue: of.queue,
  priority: of.priority,
  status: of.status,
  progress: of.progress,
  message: of.message,
  error: of.error,
  attempt: of.attempt,
  max_attempts: of.maxAttempts,
  cancel_requested: of.cancelRequested,
  created_at: at(of.createdAt),
  run_at: at(of.runAt === NEVER ? null : of.runAt),
  started_at: at(of.startedAt),
  finished_at: at(of.finishedAt),
  seq: of.seq,
  ...(of.workflow !== null && { workflow_id: of.workflow }),
});

describe("whatever a task holds, its JSON text is valid and says just that", () => {
  test("a task", () => {
    fc.assert(
      fc.property(task, (of) => {
        const body = { args: JSON.parse(of.args), result: JSON.parse(of.result ?? "null") };
        expect(JSON.parse(taskJson(of))).toEqual(plain({ ...summaryOf(of), ...body }));
        expect(JSON.parse(taskSummaryJson(of))).toEqual(plain(summaryOf(of)));
      }),
    );
  });

  test("a notice", () => {
    fc.assert(
      fc.property(task, fc.boolean(), time, (of, truncated, now) => {
        expect(JSON.parse(noticeJson(of, of.result, truncated, now))).toEqual(
          plain({
            type: "task",
            seq: of.seq,
            task_id: of.id,
            owner_id: of.ownerId,
            name: of.name,
            status: of.status,
            progress: of.progress,
            message: of.message,
            attempt: of.attempt,
            result: truncated ? null : JSON.parse(of.result ?? "null"),
            ...(truncated && { truncated: true }),
            error: of.error,
            at: at(now),
            ...(of.workflow !== null && { workflow_id: of.workflow }),
          }),
        );
      }),
    );
  });

  test("a text frame can carry it: no lone surrogate is left", () => {
    fc.assert(
      fc.property(task, (of) => {
        expect(noticeJson(of, of.result, false, 0).isWellFormed()).toBe(true);
        expect(taskJson(of).isWellFormed()).toBe(true);
      }),
    );
  });

  test("it is as the document says", () => {
    fc.assert(
      fc.property(task, fc.integer({ min: 1, max: 1_000 }), (of, attempt) => {
        const counted = {
          ...of,
          attempt,
          maxAttempts: attempt,
          createdAt: of.createdAt % 2e12,
          runAt: of.runAt % 2e12,
          startedAt: null,
          finishedAt: null,
        };
        const valid = (schema: typeof TaskSchema | typeof TaskSummarySchema, json: string) =>
          [...Value.Errors(schema, JSON.parse(json))].filter(({ message }) => !message.includes("format"));
        expect(valid(TaskSchema, taskJson(counted))).toEqual([]);
        expect(valid(TaskSummarySchema, taskSummaryJson(counted))).toEqual([]);
      }),
    );
  });
});

test("times are RFC 3339 in UTC with milliseconds, also one after the other", () => {
  fc.assert(
    fc.property(fc.array(time), (times) => expect(times.map(iso)).toEqual(times.map((ms) => new Date(ms).toISOString()))),
  );
});

test("a result is too large for a notice by its bytes", () => {
  expect(tooLargeForNotice(null)).toBe(false);
  for (const letter of ["x", "é", "€", "💥"]) {
    const bytes = Buffer.byteLength(letter);
    const count = Math.floor(NOTICE_RESULT_BYTES / bytes);
    expect(tooLargeForNotice(letter.repeat(count))).toBe(false);
    expect(tooLargeForNotice(letter.repeat(count + 1))).toBe(true);
  }
});
