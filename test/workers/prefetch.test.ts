import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { openFloor, TaskFiles } from "../support/core-workers.ts";

// The preload's limit holds for the first file of a run only.
setDefaultTimeout(30_000);

const files = new TaskFiles({
  quick: "input: t.Object({}), run: () => null",
  slow: "input: t.Object({}), async run(_, ctx) { await ctx.sleep(60_000); }",
});
afterAll(() => files[Symbol.dispose]());

test("a thread that was sent many jobs because they were short gives back those that it cannot begin, at no cost", async () => {
  await using floor = await openFloor(files, { threads: 1, slots: 2 });
  // Its jobs are short: from now on it is sent four times as many as it runs at once.
  for (let i = 0; i < 3; i += 1) {
    const quick = await Promise.all(Array.from({ length: 50 }, () => floor.submit("quick", {})));
    for (const task of quick) await floor.ended(task);
  }
  const slow = await Promise.all(Array.from({ length: 8 }, () => floor.submit("slow", {})));
  const [first, second, ...rest] = slow;
  for (const task of rest) await floor.notices.status(task.id, "queued", 2);
  for (const task of rest) expect(floor.core.store.get(task.id)).toMatchObject({ status: "queued", attempt: 1, deaths: 0 });
  for (const task of [first, second]) expect(floor.core.store.get(task?.id ?? "")?.status).toBe("in progress");
});
