import { describe, expect, test } from "bun:test";
import { type KnownTask, KnownTasks } from "../../src/cli/client/known-tasks.ts";

const task = (id: string, status: string, seq: number, progress: number | null = null): KnownTask => ({
  task_id: id,
  name: "parse",
  status,
  progress,
  message: null,
  attempt: 1,
  error: null,
  seq,
});
const A = "01a20dce-b5be-7000-98a6-be17703c4018";
const B = "01a20dcf-0708-7003-a11b-7a3c39bad4d6";

describe("what is known of tasks", () => {
  test("a change is news once, though an answer may know it, or what comes after it, before it is told", () => {
    const tasks = new KnownTasks();
    tasks.learn(task(A, "done", 3));
    expect([tasks.hearChange(task(A, "queued", 1)), tasks.hearChange(task(A, "in progress", 2))]).toEqual([true, true]);
    expect([tasks.get(A)?.status, tasks.isTold(task(A, "done", 3))]).toEqual(["done", false]);
    expect([tasks.hearChange(task(A, "done", 3)), tasks.isTold(task(A, "done", 3))]).toEqual([true, true]);
    expect(tasks.hearChange(task(A, "done", 4))).toBe(false);
  });

  test("an answer takes no progress back that was told meanwhile", () => {
    const tasks = new KnownTasks();
    tasks.hearChange(task(A, "in progress", 2));
    tasks.hear(task(A, "in progress", 2, 0.5));
    tasks.learn(task(A, "in progress", 2, 0.1));
    expect(tasks.get(A)?.progress).toBe(0.5);
    tasks.hear(task(A, "in progress", 1, 0.9));
    expect(tasks.get(A)?.progress).toBe(0.5);
  });

  test("an id is meant by its whole, its start, its end and the start of its short form", () => {
    const tasks = new KnownTasks();
    for (const id of [A, B]) tasks.learn(task(id, "queued", 1));
    expect([A, A.slice(0, 14), "4018", "703c", "703C4018"].map((word) => tasks.meantBy(word))).toEqual(
      Array.from({ length: 5 }, () => [A]),
    );
    expect(tasks.meantBy("01a20dc")).toEqual([B, A]);
    expect(tasks.meantBy("zzz")).toEqual([]);
    expect([tasks.completions("70"), tasks.completions("01a")]).toEqual([
      ["39bad4d6", "703c4018"],
      [B, A],
    ]);
  });

  test("the newest come first, and there are never more than 2,000", () => {
    const tasks = new KnownTasks();
    const ids = Array.from({ length: 2_500 }, (_, i) => `01a20dce-0000-7000-8000-${String(i).padStart(12, "0")}`);
    for (const id of ids) tasks.hearChange(task(id, "in progress", 1));
    expect(tasks.latest(2).map(({ task_id }) => task_id)).toEqual(ids.slice(-2).reverse());
    expect(tasks.running()).toHaveLength(2_000);
  });
});
