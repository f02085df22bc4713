import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { dispatch, type Task } from "../../src/domain/task.ts";
import type { Job } from "../../src/ports/broker.ts";
import type { Lane } from "../../src/ports/tasks.ts";
import { Window } from "../../src/services/window.ts";
import { ADMIN, ANNA, BEN, type Core, done, openCore, policy } from "../support/core.ts";
import { enter, LIMITS, lane, queued } from "../support/window.ts";

// The preload's limit holds for the first file of a run only.
setDefaultTimeout(30_000);

describe("the window", () => {
  test("a lane takes so many, the rest waits outside", () => {
    const window = new Window(LIMITS);
    const inside = Array.from({ length: 7 }, () => enter(window, queued(1)).dispatched);
    expect(inside).toEqual([true, true, true, true, false, false, false]);
    expect([window.inBroker, window.waiting]).toEqual([4, 3]);
    expect([window.queuedIn(lane(1)), window.queuedIn(lane(2))]).toEqual([7, 0]);
  });

  test("all lanes together take so many", () => {
    const window = new Window(LIMITS);
    const inside = [1, 2, 3, 4].flatMap((owner) => Array.from({ length: 4 }, () => enter(window, queued(owner)).dispatched));
    expect(inside.filter(Boolean)).toHaveLength(10);
  });

  test("nobody enters before those of the lane who wait", () => {
    const window = new Window(LIMITS);
    const first = Array.from({ length: 5 }, () => enter(window, queued(1)))[0] as Task;
    window.moved(first, { ...first, status: "in progress" });
    expect(enter(window, queued(1)).dispatched).toBe(false);
    expect(enter(window, queued(1, { priority: "high" })).dispatched).toBe(true);
  });

  test("lanes with room and somebody outside are fed in turn, each up to its room", () => {
    const window = new Window(LIMITS);
    for (const owner of [1, 2]) window.add(lane(owner), false, 9);
    expect(window.nextHungry()).toMatchObject({ lane: lane(1), room: 4 });
    expect(window.nextHungry()).toMatchObject({ lane: lane(2), room: 4 });
    expect(window.nextHungry()).toBeUndefined();
  });

  test("a lane is fed again once half empty, not for each job", () => {
    const window = new Window(LIMITS);
    window.add(lane(1), true, 4);
    window.add(lane(1), false, 9);
    const held = [1, 2, 3].map(() => queued(1, { dispatched: true, fence: 1 }));
    window.moved(held[0] as Task, { ...(held[0] as Task), status: "in progress" });
    expect(window.nextHungry()).toBeUndefined();
    window.moved(held[1] as Task, { ...(held[1] as Task), status: "in progress" });
    expect(window.nextHungry()).toMatchObject({ lane: lane(1), room: 2 });
  });

  test("while it is full nobody is fed, and hungry lanes are remembered", () => {
    const window = new Window(LIMITS);
    for (const owner of [2, 3]) window.add(lane(owner), true, 5);
    window.add(lane(1), false, 1);
    expect(window.nextHungry()).toBeUndefined();
    const one = queued(2, { dispatched: true, fence: 1 });
    window.moved(one, { ...one, status: "in progress" });
    expect(window.nextHungry()).toMatchObject({ lane: lane(1), room: 1 });
  });

  test("inputs count by their bytes, and room comes back as their jobs end", () => {
    const window = new Window(LIMITS);
    const large = enter(window, queued(1));
    window.carries(large, 10_000);
    window.carries(large, 10_000);
    expect(window.admits(queued(2))).toBe(false);
    window.drops(large.id);
    expect(window.admits(queued(2))).toBe(true);
  });

  test("what one task has queued leaves others their share, be it jobs that nobody takes or large inputs", () => {
    const window = new Window(LIMITS);
    const stuck = [1, 2, 3, 4].flatMap((owner) => Array.from({ length: 4 }, () => enter(window, queued(owner))));
    for (const task of stuck) if (task.dispatched) window.carries(task, 2_000);
    expect(window.admits(queued(5))).toBe(false);
    const other = Array.from({ length: 4 }, () => enter(window, queued(1, { name: "other" })));
    expect(other.every(({ dispatched }) => dispatched)).toBe(true);
    // Half of the window is the other one's: what left the first one's share does not come back, but for the first job of a user.
    const ended = stuck[0] as Task;
    window.moved(ended, { ...ended, status: "cancelled", dispatched: false });
    window.drops(ended.id);
    expect(window.admits(queued(1))).toBe(false);
    expect(enter(window, queued(2, { name: "other" })).dispatched).toBe(true);
    expect(window.nextHungry()).toMatchObject({ lane: lane(4), room: 1 });
    expect(window.nextHungry()).toBeUndefined();
  });

  test("tasks with something outside and room inside are fed in turn, each by its share", () => {
    const window = new Window({ ...LIMITS, lane: 100 });
    for (const name of ["a", "b"]) for (const owner of [1, 2]) window.add(lane(owner, name), false, 99);
    const fed = Array.from({ length: 4 }, () => window.nextHungry());
    expect(fed.map((next) => [next?.lane.name, next?.lane.owner, next?.room])).toEqual([
      ["a", 1, 5],
      ["b", 1, 5],
      ["a", 2, 5],
      ["b", 2, 5],
    ]);
  });

  test("nothing is left of lanes that are through", () => {
    const window = new Window(LIMITS);
    for (const name of ["a", "b"]) {
      const task = enter(window, queued(1, { name }));
      window.carries(task, 2_000);
      window.moved(task, { ...task, status: "in progress" });
      window.drops(task.id);
      // A feed that failed after its lane had emptied.
      window.stillHungry(lane(1, name));
    }
    expect(Array.from({ length: 10 }, () => window.admits(enter(window, queued(9)))).filter(Boolean)).toHaveLength(3);
    expect(Array.from({ length: 10 }, (_, i) => enter(window, queued(10 + i)).dispatched).filter(Boolean)).toHaveLength(6);
  });
});

describe("a task that has more than its share since others came later", () => {
  const names = ["a", "b", "c", "d"];
  const crowded = (window: Window): Task[] => {
    const inside = Array.from({ length: 10 }, () => enter(window, queued(1)));
    for (const name of names) enter(window, queued(1, { name }));
    return inside;
  };

  test("lets in the first job of each user, not what one of them has in large numbers", () => {
    const window = new Window({ ...LIMITS, roomy: 10 });
    crowded(window);
    expect(Array.from({ length: 3 }, () => enter(window, queued(2)).dispatched)).toEqual([true, false, false]);
    expect(enter(window, queued(1)).dispatched).toBe(false);
    expect(enter(window, queued(3)).dispatched).toBe(false);
  });

  test("is fed with the first job of a user who waits", () => {
    const window = new Window({ ...LIMITS, roomy: 10 });
    window.add(lane(1), true, 10);
    window.add(lane(2), false, 7);
    for (const name of names) enter(window, queued(1, { name }));
    expect(window.nextHungry()).toMatchObject({ lane: lane(2), room: 1 });
    expect(window.nextHungry()).toBeUndefined();
  });

  test("lets them in beside large inputs as well, as long as all that is carried is not twice too much", () => {
    const window = new Window({ ...LIMITS, roomy: 10 });
    for (const task of crowded(window).slice(0, 5)) window.carries(task, 3_000);
    const second = enter(window, queued(2));
    expect(second.dispatched).toBe(true);
    window.moved(second, { ...second, status: "cancelled", dispatched: false });
    window.carries(queued(1), 5_000);
    expect(enter(window, queued(2)).dispatched).toBe(false);
  });
});

test("while there is much room one lane may take it all but half, and others still enter", () => {
  const window = new Window({ ...LIMITS, roomy: 6 });
  expect(Array.from({ length: 8 }, () => enter(window, queued(1)).dispatched)).toEqual([...Array(6).fill(true), false, false]);
  expect(Array.from({ length: 5 }, () => enter(window, queued(2)).dispatched)).toEqual([...Array(4).fill(true), false]);
});

describe("the window, whatever happens", () => {
  const changes = fc.array(fc.record({ owner: fc.integer({ min: 1, max: 4 }), step: fc.nat(3), pick: fc.nat(50) }), {
    maxLength: 80,
    size: "max",
  });

  /** Random changes to tasks of some lanes; `follow` is told of each. */
  const play = (
    window: Window,
    history: readonly { owner: number; step: number; pick: number }[],
    follow: (before: Task | null, after: Task) => void,
  ): Task[] => {
    const tasks: Task[] = [];
    const change = (index: number, after: Task): void => {
      const before = tasks[index] as Task;
      tasks[index] = after;
      follow(before, after);
    };
    for (const { owner, step, pick } of history) {
      const index = tasks.length === 0 ? -1 : pick % tasks.length;
      const task = tasks[index];
      if (step === 0 || !task) {
        const fresh = queued(owner);
        const placed = window.admits(fresh) ? dispatch(fresh) : fresh;
        tasks.push(placed);
        follow(null, placed);
      } else if (step === 1 && task.status === "queued" && task.dispatched) change(index, { ...task, status: "in progress" });
      else if (step === 2 && task.status === "in progress") change(index, { ...task, status: "done", dispatched: false });
      else if (step === 3 && task.status === "queued") change(index, { ...task, status: "cancelled", dispatched: false });
    }
    return tasks;
  };

  test("its counts are those of the tasks, and its limits hold", () => {
    fc.assert(
      fc.property(changes, (history) => {
        const window = new Window(LIMITS);
        const tasks = play(window, history, (before, after) => {
          window.moved(before, after);
          expect(window.inBroker).toBeLessThanOrEqual(LIMITS.total);
        });
        const waiting = tasks.filter(({ status }) => status === "queued");
        expect(window.inBroker).toBe(waiting.filter(({ dispatched }) => dispatched).length);
        expect(window.waiting).toBe(waiting.filter(({ dispatched }) => !dispatched).length);
      }),
    );
  });

  test("a rollback puts everything back: changes taken back in reverse leave no trace", () => {
    fc.assert(
      fc.property(changes, changes, (kept, undone) => {
        const window = new Window(LIMITS);
        play(window, kept, (before, after) => window.moved(before, after));
        const before = [window.inBroker, window.waiting, ...[1, 2, 3, 4].map((owner) => window.admits(queued(owner)))];
        const journal: [Task | null, Task][] = [];
        play(window, undone, (from, to) => {
          window.moved(from, to);
          journal.push([from, to]);
        });
        for (const [from, to] of journal.reverse()) window.moved(to, from);
        expect([window.inBroker, window.waiting, ...[1, 2, 3, 4].map((owner) => window.admits(queued(owner)))]).toEqual(before);
      }),
    );
  });
});

describe("feeding", () => {
  test("invariant 8: a backlog far larger than the window runs through it in order, and the broker never holds more", async () => {
    await using core = await openCore({ window: { lane: 5, total: 12, bytes: 1_000_000 } });
    const owners = [ANNA, BEN, ADMIN];
    const sent = await Promise.all(
      owners.map((who) =>
        core.tasks.submitBatch(
          who,
          "job",
          Array.from({ length: 40 }, () => ({})),
        ),
      ),
    );
    const got: Job[] = [];
    while (got.length < 120) {
      expect(core.window.inBroker).toBeLessThanOrEqual(12);
      const jobs = await core.claim(3);
      if (jobs.length === 0) await work(core);
      got.push(...jobs);
      for (const job of jobs) await core.settle(done(job));
    }
    expect([core.window.inBroker, core.window.waiting, core.quotas.total]).toEqual([0, 0, 0]);
    for (const [i, who] of owners.entries()) {
      expect(got.filter(({ owner }) => owner === who.id).map(({ id }) => id)).toEqual((sent[i] ?? []).map(({ id }) => id));
    }
  });

  test("invariant 9: a newcomer is served within about a turn, though others fill the window", async () => {
    await using core = await openCore({ window: { lane: 5, total: 10, bytes: 1_000_000 } });
    await core.tasks.submitBatch(
      ANNA,
      "job",
      Array.from({ length: 50 }, () => ({})),
    );
    await core.tasks.submitBatch(
      BEN,
      "job",
      Array.from({ length: 50 }, () => ({})),
    );
    const late = await core.tasks.submit(ADMIN, "job", {});
    for (let turns = 1; ; turns += 1) {
      const [job] = await core.claim(1);
      if (!job) await work(core);
      else await core.settle(done(job));
      if (job?.id === late.id) break;
      expect(turns).toBeLessThan(12);
    }
  });

  test("invariant 9: a newcomer is served within about a turn, though somebody filled the window when there were no other tasks", async () => {
    const others = Array.from({ length: 9 }, (_, i) => `other-${i}`);
    await using core = await openCore({
      window: { lane: 5, roomy: 40, total: 50, bytes: 1_000_000 },
      policies: ["job", ...others].map((name) => policy(name)),
    });
    const inputs = Array.from({ length: 60 }, () => ({}));
    await core.tasks.submitBatch(ANNA, "job", inputs);
    for (const name of others) await core.tasks.submitBatch(BEN, name, inputs);
    const late = await core.tasks.submit(ADMIN, "job", {});
    for (let turns = 1; ; turns += 1) {
      const [job] = await core.hub.claim({ worker: "w", max: 1, alone: false, tasks: ["job"] });
      if (!job) await work(core);
      else await core.settle(done(job));
      if (job?.id === late.id) break;
      expect(turns).toBeLessThan(8);
    }
  });

  test("large inputs enter by their bytes, and a large backlog is not read into memory at once", async () => {
    await using core = await openCore({ window: { lane: 1_000, total: 1_000, bytes: 100_000 } });
    await core.tasks.submitBatch(
      ANNA,
      "job",
      Array.from({ length: 30 }, () => ({ text: "x".repeat(20_000) })),
    );
    expect(core.window.inBroker).toBeLessThanOrEqual(6);
    let ran = 0;
    while (ran < 30) {
      expect(core.window.inBroker).toBeLessThanOrEqual(12);
      const jobs = await core.claim(1);
      if (jobs.length === 0) await work(core);
      for (const job of jobs) await core.settle(done(job));
      ran += jobs.length;
    }
  });

  test("room that several jobs leave with one commit is seen, whichever of them is counted last", async () => {
    await using core = await openCore({ window: { lane: 10, total: 10, bytes: 1_024 } });
    const [small, large, waits] = await core.tasks.submitBatch(ANNA, "job", [{}, { text: "x".repeat(2_000) }, {}]);
    const jobs = await core.claim(9);
    expect(jobs.map(({ id }) => id)).toEqual([small?.id ?? "", large?.id ?? ""]);
    // The recorder is reading just now, so that it finds both on its next page.
    const reading = core.recorder.drained();
    await core.hub.settle(
      "w",
      jobs.map((job) => done(job)),
    );
    await reading;
    // It enters with the next commit, and would wait for yet another one.
    await core.work.grouped(() => {});
    expect((await core.claim(9)).map(({ id }) => id)).toEqual([waits?.id ?? ""]);
  });

  test("a feed that fails is tried again", async () => {
    await using core = await openCore({ window: { lane: 2, total: 10, bytes: 1_000_000 } });
    const waiting = core.store.waiting.bind(core.store);
    let failures = 2;
    core.store.waiting = (...args) => {
      if (failures > 0) {
        failures -= 1;
        throw new Error("no disk");
      }
      return waiting(...args);
    };
    const sent = await core.tasks.submitBatch(ANNA, "job", [{}, {}, {}]);
    const got = [...(await core.claim(2))];
    for (const job of got) await core.settle(done(job));
    const fed = Promise.withResolvers<void>();
    core.hub.onWork(() => fed.resolve());
    if (core.window.waiting > 0) await fed.promise;
    got.push(...(await core.claim(9)));
    expect(got.map(({ id }) => id)).toEqual(sent.map(({ id }) => id));
    expect(core.lines.some(({ level }) => level === "error")).toBe(true);
  });
});

/** Resolves when there may be something to claim. */
const work = (core: Core): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const unsubscribe = core.hub.onWork(() => resolve());
  return promise.finally(unsubscribe);
};

describe("what is held back", () => {
  const most = (name: string, jobs: number) => (each: Lane) => (each.name === name ? jobs : undefined);
  const fill = (window: Window, owner: number, count: number, of: Partial<Task> = {}): boolean[] =>
    Array.from({ length: count }, () => enter(window, queued(owner, of)).dispatched);

  test("a paused task gets no more jobs, also where it had none, and is fed when it is resumed", () => {
    const window = new Window(LIMITS);
    fill(window, 1, 5);
    window.restrain(most("job", 0));
    expect(fill(window, 2, 3)).toEqual([false, false, false]);
    expect(window.nextHungry()).toBeUndefined();
    expect(fill(window, 2, 1, { name: "other" })).toEqual([true]);
    expect(window.queues().get("default")?.get("job")).toBe(8);
    window.restrain(undefined);
    expect(window.nextHungry()).toMatchObject({ lane: { owner: 2 }, room: 1 });
  });

  test("of a task with a limit for each user, a user has no more in the broker than may come next", () => {
    const window = new Window(LIMITS);
    window.restrain(most("job", 2));
    expect([1, 2, 3, 4].map((owner) => fill(window, owner, 4).filter(Boolean).length)).toEqual([2, 2, 2, 2]);
    expect(fill(window, 5, 1)).toEqual([true]);
    expect(fill(window, 1, 3, { name: "other" })).toEqual([true, true, true]);
  });
});

test("tasks that no worker serves, of many users, leave the workers theirs", async () => {
  await using core = await openCore({ window: { lane: 5, total: 10, bytes: 1_000_000 } });
  const inputs = Array.from({ length: 8 }, () => ({}));
  for (const who of [ANNA, BEN, ADMIN]) await core.tasks.submitBatch(who, "other", inputs);
  const sent = await core.tasks.submitBatch(ANNA, "job", inputs);
  const got: string[] = [];
  while (got.length < sent.length) {
    const jobs = await core.hub.claim({ worker: "w", max: 2, alone: false, tasks: ["job"] });
    got.push(...jobs.map(({ id }) => id));
    for (const job of jobs) await core.settle(done(job));
    if (jobs.length === 0) await work(core);
  }
  expect(got).toEqual(sent.map(({ id }) => id));
  expect(core.store.countPending()).toBe(24);
});
