import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseDelay, parseDuration } from "../../src/domain/duration.ts";
import { InvalidInput } from "../../src/domain/errors.ts";
import { backoffMs } from "../../src/domain/retry.ts";
import * as life from "../../src/domain/task.ts";
import { POISON_DEATHS, type Status, type Task } from "../../src/domain/task.ts";

const NOW = 1_000_000;
const ERROR = { code: "error", message: "it broke" };

/** The status graph, every edge that a user may ever see. */
const EDGES: Readonly<Record<Status, readonly Status[]>> = {
  scheduled: ["queued", "cancelled"],
  queued: ["in progress", "cancelled"],
  "in progress": ["queued", "retrying", "done", "failed", "cancelled"],
  retrying: ["queued", "cancelled"],
  done: [],
  failed: ["queued"],
  cancelled: ["queued"],
};

/** What can happen to a task, with the statuses in which the services and the recorder let it happen. */
interface Step {
  readonly name: string;
  readonly when: (task: Task) => boolean;
  readonly apply: (task: Task) => Task;
}
const holding = (task: Task): boolean => life.accepts(task, task.fence);
const running = (task: Task): boolean => task.status === "in progress";
const outcome = (name: string, apply: (task: Task) => Task): Step => ({
  name,
  when: (task) => holding(task) && running(task),
  apply,
});

const STEPS: readonly Step[] = [
  { name: "comeDue", when: (task) => task.status === "scheduled" || task.status === "retrying", apply: life.comeDue },
  { name: "dispatch", when: (task) => task.status === "queued" && !task.dispatched, apply: life.dispatch },
  { name: "start", when: (task) => task.status === "queued" && task.dispatched, apply: (task) => life.start(task, NOW) },
  outcome("complete", (task) => life.complete(task, NOW)),
  outcome("fail for good", (task) => life.failAttempt(task, NOW, ERROR, null)),
  outcome("fail", (task) => life.failAttempt(task, NOW, ERROR, 250)),
  outcome("release", (task) => life.release(task, NOW)),
  outcome("lose", (task) => life.lose(task, NOW)),
  outcome("suspect", (task) => life.suspect(task, NOW)),
  outcome("cancelled by its worker", (task) => life.cancel(task, NOW)),
  { name: "cancel", when: (task) => !life.isTerminal(task.status) && !running(task), apply: (task) => life.cancel(task, NOW) },
  { name: "requestCancel", when: running, apply: life.requestCancel },
  { name: "report", when: running, apply: (task) => life.report(task, 0.5, "half") },
  {
    name: "retryByOwner",
    when: (task) => task.status === "failed" || task.status === "cancelled",
    apply: (task) => life.retryByOwner(task, NOW),
  },
];

const newTask = (maxAttempts: number, delayMs: number): Task =>
  life.accept({ id: "a", owner: 1, name: "job", queue: "default", priority: "normal", maxAttempts, delayMs }, NOW);

/** Random histories: of the steps that apply, each number picks one. */
const histories = fc.record({
  maxAttempts: fc.integer({ min: 1, max: 5 }),
  delayMs: fc.constantFrom(0, 500),
  picks: fc.array(fc.nat(1_000), { maxLength: 60, size: "max" }),
});
type History = typeof histories extends fc.Arbitrary<infer H> ? H : never;

function live(history: History, see: (before: Task, step: Step, after: Task) => void): void {
  let task = newTask(history.maxAttempts, history.delayMs);
  for (const pick of history.picks) {
    const possible = STEPS.filter((step) => step.when(task));
    const step = possible[pick % possible.length];
    if (!step) return;
    const after = step.apply(task);
    see(task, step, after);
    task = after;
  }
}

const always = (see: (before: Task, step: Step, after: Task) => void) =>
  fc.assert(
    fc.property(histories, (history) => live(history, see)),
    { numRuns: 500 },
  );

describe("the life of a task", () => {
  test("random histories only ever follow the status graph", () => {
    always((before, step, after) => {
      if (after.status !== before.status && !EDGES[before.status].includes(after.status)) {
        throw new Error(`${step.name}: ${before.status} -> ${after.status}`);
      }
    });
  });

  test("invariant 2: the fence only grows, by dispatch alone, and no outcome of an earlier dispatch is accepted", () => {
    always((before, step, after) => {
      expect(after.fence).toBe(before.fence + (step.name === "dispatch" ? 1 : 0));
      for (const fence of [before.fence - 1, after.fence - 1, after.fence + 1]) expect(life.accepts(after, fence)).toBe(false);
    });
  });

  test("invariant 3: what took an outcome accepts none of that dispatch again, whatever became of it", () => {
    always((before, _, after) => {
      if (running(before) && !running(after)) expect(life.accepts(after, before.fence)).toBe(false);
    });
  });

  test("what has ended stays so, and accepts no outcome, until its owner retries it", () => {
    always((before, step, after) => {
      if (life.isTerminal(before.status)) expect(step.name).toBe("retryByOwner");
      if (life.isTerminal(after.status)) {
        expect(after.dispatched).toBe(false);
        expect(life.accepts(after, after.fence)).toBe(false);
        expect(after.finishedAt).toBe(NOW);
      } else {
        expect(after.finishedAt).toBeNull();
      }
      expect(before.status === "done").toBe(false);
    });
  });

  test("an attempt is never above maxAttempts, and grows only when a retry comes due", () => {
    always((before, step, after) => {
      expect(after.attempt).toBeGreaterThanOrEqual(1);
      expect(after.attempt).toBeLessThanOrEqual(after.maxAttempts);
      if (step.name === "retryByOwner") expect(after.attempt).toBe(1);
      else expect(after.attempt - before.attempt).toBe(step.name === "comeDue" && before.status === "retrying" ? 1 : 0);
    });
  });

  test("a running task that is to be cancelled never queues, waits or runs again", () => {
    always((before, step, after) => {
      if (before.cancelRequested && step.name !== "retryByOwner")
        expect(["in progress", "cancelled", "done"]).toContain(after.status);
      if (step.name === "retryByOwner") expect(after.cancelRequested).toBe(false);
    });
  });

  test("invariant 6: being released or lost costs nothing; the third death, and no earlier one, is poison", () => {
    always((before, step, after) => {
      if (step.name === "release" || step.name === "lose") {
        expect([after.attempt, after.deaths]).toEqual([before.attempt, before.deaths]);
      }
      expect(after.deaths).toBe(step.name === "suspect" ? before.deaths + 1 : step.name === "retryByOwner" ? 0 : before.deaths);
      expect(after.deaths).toBeLessThanOrEqual(POISON_DEATHS);
      const poisoned = step.name === "suspect" && after.deaths === POISON_DEATHS && !before.cancelRequested;
      expect(after.error?.code === "poison" && before.error?.code !== "poison").toBe(poisoned);
      if (step.name === "suspect" && !poisoned && !before.cancelRequested) expect(after.status).toBe("queued");
    });
  });

  test("only what is dispatched runs, and only what is queued or runs is dispatched", () => {
    always((_, __, after) => {
      if (after.status === "in progress") expect(after.dispatched).toBe(true);
      if (after.dispatched) expect(["queued", "in progress"]).toContain(after.status);
    });
  });

  test("a failure tells its error, success and a new try tell none; done means all of it", () => {
    always((_, step, after) => {
      if (after.status === "done") expect([after.error, after.progress]).toEqual([null, 1]);
      if (after.status === "failed" || after.status === "retrying") expect(after.error).not.toBeNull();
      if (after.status === "cancelled") expect(after.error?.code).toBe("cancelled");
      if (step.name === "start" || step.name === "comeDue" || step.name === "retryByOwner") expect(after.error).toBeNull();
      if (step.name === "start") expect([after.progress, after.message]).toEqual([null, null]);
    });
  });

  test("transitions leave what they were given as it was", () => {
    always((before, step) => {
      const frozen = Object.freeze({ ...before });
      step.apply(frozen);
      expect(frozen).toEqual(before);
    });
  });

  test("a task with a delay is scheduled for then, one without queues at once", () => {
    expect(newTask(3, 0)).toMatchObject({ status: "queued", runAt: NOW, attempt: 1, fence: 0, dispatched: false });
    expect(newTask(3, 1)).toMatchObject({ status: "scheduled", runAt: NOW + 1 });
  });
});

describe("backoff", () => {
  const policies = fc.record({
    maxAttempts: fc.integer({ min: 1, max: 1_000 }),
    backoffMs: fc.integer({ min: 0, max: 86_400_000 }),
    maxBackoffMs: fc.integer({ min: 0, max: 86_400_000 }),
  });
  const attempts = fc.integer({ min: 1, max: 1_000 });
  const fractions = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  test("full jitter: a whole number between 0 and the doubled bound, never above the longest wait", () => {
    fc.assert(
      fc.property(policies, attempts, fractions, (policy, attempt, fraction) => {
        const ms = backoffMs(policy, attempt, fraction);
        expect(Number.isSafeInteger(ms)).toBe(true);
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(ms).toBeLessThanOrEqual(Math.min(policy.maxBackoffMs, policy.backoffMs * 2 ** (attempt - 1)));
      }),
    );
  });

  test("the bound doubles with each attempt until it reaches the longest wait", () => {
    const policy = { maxAttempts: 9, backoffMs: 1_000, maxBackoffMs: 10_000 };
    expect([1, 2, 3, 4, 5, 6].map((attempt) => backoffMs(policy, attempt, 1))).toEqual([
      1_000, 2_000, 4_000, 8_000, 10_000, 10_000,
    ]);
    expect(backoffMs(policy, 6, 0)).toBe(0);
  });
});

describe("durations", () => {
  test("a number and a unit", () => {
    const cases = {
      "500ms": 500,
      "30s": 30_000,
      "5m": 300_000,
      "2h": 7_200_000,
      "7d": 604_800_000,
      "1.5s": 1_500,
      " 1s ": 1_000,
      "0s": 0,
    };
    for (const [text, ms] of Object.entries(cases)) expect(parseDuration(text)).toBe(ms);
  });

  test("everything else is refused by its name", () => {
    for (const text of ["", "5", "s", "-1s", "1e3s", "1 s", "1w", "5S", "1.s", ".5s", "1s1s", "NaNs", "99999999999999999999d"]) {
      expect(() => parseDuration(text)).toThrow(InvalidInput);
    }
  });

  test("a delay is one of a year at most", () => {
    expect([parseDelay("0s"), parseDelay("366d")]).toEqual([0, 366 * 86_400_000]);
    for (const text of ["31622400001ms", "367d", "soon"])
      expect(() => parseDelay(text)).toThrow(expect.objectContaining({ code: "invalid_delay", problems: [expect.anything()] }));
  });

  test("any text is either a duration or an InvalidInput", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{0,20}\.?\d{0,3}(ms|s|m|h|d)?$/)), (text) => {
        try {
          const ms = parseDuration(text);
          expect(Number.isSafeInteger(ms) && ms >= 0).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidInput);
        }
      }),
    );
  });
});
