import { expect, test } from "bun:test";
import fc from "fast-check";
import { dispatch, type Task } from "../../src/domain/task.ts";
import { Window } from "../../src/services/window.ts";
import { enter, LIMITS, queued } from "../support/window.ts";

/** What a window says, looked up in lists of tasks instead of counted. */
const model = (tasks: readonly Task[], carried: ReadonlyMap<string, number>) => {
  const held = tasks.filter(({ status }) => status === "queued");
  const known = new Set([...held, ...tasks.filter(({ id }) => carried.has(id))].map(({ name }) => name));
  const share = (whole: number): number => Math.ceil(whole / Math.max(1, known.size));
  return {
    admits(task: Task, most: number): boolean {
      const line = held.filter(({ name }) => name === task.name);
      const inside = line.filter(({ dispatched }) => dispatched);
      const own = inside.filter(({ owner }) => owner === task.owner);
      if (line.some(({ owner, dispatched }) => owner === task.owner && !dispatched) || own.length >= most) return false;
      if (!known.has(task.name)) return true;
      const bytes = tasks.reduce((sum, { id, name }) => sum + (name === task.name ? (carried.get(id) ?? 0) : 0), 0);
      const all = [...carried.values()].reduce((sum, size) => sum + size, 0);
      if (inside.length < share(LIMITS.total) && bytes < share(LIMITS.bytes)) return true;
      const over = inside.length > share(LIMITS.total) || bytes > share(LIMITS.bytes);
      const owners = new Set(inside.map(({ owner }) => owner)).size;
      return over && own.length === 0 && owners < share(LIMITS.total) && all < 2 * LIMITS.bytes;
    },
  };
};

test("with several tasks, large inputs, pauses and feeding it says what a model says, and nothing is left once all have ended", () => {
  const steps = fc.array(
    fc.record({
      step: fc.constantFrom("enter", "enter", "begin", "end", "cancel", "pause", "feed", "undone"),
      owner: fc.integer({ min: 1, max: 3 }),
      name: fc.constantFrom("a", "b", "c"),
      bytes: fc.constantFrom(0, 2_000, 9_000),
      pick: fc.nat(50),
    }),
    { maxLength: 120, size: "max" },
  );
  fc.assert(
    fc.property(steps, (history) => {
      const window = new Window(LIMITS);
      const tasks: Task[] = [];
      const sizes = new Map<string, number>();
      const carried = new Map<string, number>();
      let paused = "";
      const change = (before: Task | undefined, after: Task): void => {
        if (before) tasks[tasks.indexOf(before)] = after;
        else tasks.push(after);
        window.moved(before ?? null, after);
        const size = sizes.get(after.id) ?? 0;
        if (before?.dispatched && !after.dispatched) {
          window.drops(after.id);
          carried.delete(after.id);
        } else if (after.dispatched && window.carries(after, size)) carried.set(after.id, size);
      };
      const one = (pick: number, fits: (task: Task) => boolean): Task | undefined => {
        const some = tasks.filter(fits);
        return some[pick % some.length];
      };
      const feed = (): void => {
        for (let next = window.nextHungry(); next; next = window.nextHungry()) {
          const { lane: fed, room } = next;
          const waits = tasks.filter(
            ({ status, dispatched, owner, name }) =>
              status === "queued" && !dispatched && owner === fed.owner && name === fed.name && name !== paused,
          );
          expect(waits.length).toBeGreaterThan(0);
          for (const task of waits.slice(0, room)) change(task, dispatch(task));
        }
      };
      for (const { step, owner, name, bytes, pick } of history) {
        if (step === "enter" || step === "undone") {
          const task = queued(owner, { name });
          sizes.set(task.id, bytes);
          const admitted = window.admits(task);
          expect(admitted).toBe(model(tasks, carried).admits(task, name === paused ? 0 : LIMITS.lane));
          const placed = admitted ? dispatch(task) : task;
          if (step === "enter") change(undefined, placed);
          else {
            window.moved(null, placed);
            if (placed.dispatched && window.carries(placed, bytes)) window.drops(placed.id);
            window.moved(placed, null);
          }
        } else if (step === "pause") {
          paused = paused === name ? "" : name;
          window.restrain((each) => (each.name === paused ? 0 : undefined));
        } else if (step === "feed") feed();
        else {
          const task =
            step === "begin"
              ? one(pick, ({ status, dispatched }) => status === "queued" && dispatched)
              : one(pick, ({ status }) => status === (step === "end" ? "in progress" : "queued"));
          if (task && step === "begin") change(task, { ...task, status: "in progress" });
          else if (task) change(task, { ...task, status: step === "end" ? "done" : "cancelled", dispatched: false });
        }
      }
      // All that waits is fed and ends, whatever has happened.
      window.restrain(undefined);
      paused = "";
      const unended = ({ status }: Task): boolean => status === "queued" || status === "in progress";
      for (feed(); tasks.some(unended); feed()) {
        const task = tasks.find((each) => unended(each) && each.dispatched);
        if (!task) throw new Error(`${window.waiting} wait for ever`);
        change(task, { ...task, status: "done", dispatched: false });
      }
      expect([window.inBroker, window.waiting]).toEqual([0, 0]);
      // A single task has the whole window again.
      const last = Array.from({ length: 12 }, (_, i) => enter(window, queued(10 + i, { name: "d" })).dispatched);
      expect(last.filter(Boolean)).toHaveLength(10);
    }),
    { numRuns: 300 },
  );
});
