import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { lines, Place } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { EFFECTS, TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import type { Notice } from "../support/notices.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const MANY = 2_000;
const SOME = 300;

/** What a user has submitted, by what must become of it. */
interface Submitted {
  readonly quick: readonly string[];
  readonly failing: readonly string[];
  readonly retrying: readonly string[];
  readonly slow: readonly string[];
  readonly cancelled: readonly string[];
}

const range = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

async function submit(user: Client): Promise<Submitted> {
  // What is cancelled waits for its time or for its turn, or runs already.
  const later = await user.submitAll(
    "slow",
    range(SOME / 2, () => ({ ms: 1 })),
    "?delay=1h",
  );
  const slow = await user.submitAll(
    "slow",
    range(SOME, (n) => ({ ms: n % 20 })),
  );
  const [quick, failing, retrying] = await Promise.all([
    user.submitAll(
      "quick",
      range(MANY, (n) => ({ n })),
    ),
    user.submitAll(
      "failing",
      range(MANY, (n) => ({ n })),
    ),
    user.submitAll(
      "retrying",
      range(MANY, (n) => ({ until: 1 + (n % 4) })),
    ),
  ]);
  const endless = await user.submitAll(
    "slow",
    range(SOME / 2, () => ({ ms: 600_000 })),
    "?priority=high",
  );
  const cancelled = [...later, ...endless];
  for (const id of cancelled) await user.cancel(id);
  return { quick, failing, retrying, slow, cancelled };
}

/** Checks each task against what was asked for; `of` is what is known of it. */
function expectOutcomes(submitted: Submitted, of: (id: string) => Notice | undefined): void {
  const { quick, failing, retrying, slow, cancelled } = submitted;
  for (const [n, id] of quick.entries()) expect(of(id)).toMatchObject({ status: "done", attempt: 1, result: n * 2, error: null });
  for (const [n, id] of failing.entries()) {
    expect(of(id)).toMatchObject({ status: "failed", attempt: 1, error: { code: "no_luck", message: `no luck with ${n}` } });
  }
  for (const [n, id] of retrying.entries()) {
    expect(of(id)).toMatchObject({ status: "done", attempt: 1 + (n % 4), result: 1 + (n % 4), error: null });
  }
  for (const id of slow) expect(of(id)).toMatchObject({ status: "done", result: "slept", attempt: 1 });
  for (const id of cancelled) expect(of(id)).toMatchObject({ status: "cancelled", error: { code: "cancelled" } });
}

test("two users at once: each sees exactly what became of their own thousands of tasks", async () => {
  await using place = await Place.make();
  place.write(TASKS);
  const { url, process } = await place.serve(["--tasks", "tasks", "--threads", "2"]);
  const users = [await Client.register(url, "ada"), await Client.register(url, "bob")];
  const views = await Promise.all(users.map((user) => View.open(user)));
  const submitted = await Promise.all(users.map((user) => submit(user)));

  const effects: string[] = [];
  for (const [i, user] of users.entries()) {
    const [view, mine] = [views[i] as View, submitted[i] as Submitted];
    const ids = Object.values(mine).flat();
    await view.ended(ids, 60_000);
    expect(view.faults).toEqual([]);
    expect(view.tasks.size).toBe(ids.length);
    for (const id of ids) expect([id, view.ends.get(id)]).toEqual([id, 1]);
    expectOutcomes(mine, (id) => view.tasks.get(id));
    // What the socket told is what the rows say, for all of them, and with results for some.
    const listed = await user.tasks();
    expect(new Set(listed.map(({ task_id }) => task_id))).toEqual(new Set(ids));
    expect(listed.map((task) => view.difference(task)).filter((difference) => difference !== undefined)).toEqual([]);
    for (const id of ids.filter((_, n) => n % 50 === 0)) expect(view.difference(await user.task(id))).toBeUndefined();
    effects.push(...mine.quick, ...mine.slow);
    view.close();
  }
  // Nothing died, so every run happened once.
  expect(lines(readFileSync(place.path(EFFECTS), "utf8")).sort()).toEqual(effects.sort());
  const { code, stderr } = await process.end();
  expect(code).toBe(0);
  expect(lines(stderr).filter((line) => /"level":"(error|warn)"/.test(line))).toEqual([]);
});
