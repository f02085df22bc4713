import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Gates } from "../support/gates.ts";
import { problem } from "../support/problems.ts";
import { type TaskView, TestServer, type User } from "../support/server.ts";

// The preload's default holds for the first file of a run only.
setDefaultTimeout(30_000);

interface Page {
  readonly items: TaskView[];
  readonly next_cursor: string | null;
}

let server: TestServer;
let ada: User;
let bob: User;
let root: User;
const gates = new Gates();
/** What Ada has: newest first. */
const tasks: { id: string; name: string; status: string }[] = [];

const page = async (user: User, query: string): Promise<Page> => {
  const response = await user.get(`/tasks?${query}`);
  expect(response.status).toBe(200);
  return (await response.json()) as Page;
};

/** Follows the cursor to the end. */
const all = async (user: User, query: string, each?: (page: Page) => Promise<unknown>): Promise<TaskView[]> => {
  const items: TaskView[] = [];
  let cursor = "";
  for (let pages = 0; pages < 1_000; pages += 1) {
    const next = await page(user, query + cursor);
    items.push(...next.items);
    await each?.(next);
    if (next.next_cursor === null) return items;
    cursor = `&cursor=${encodeURIComponent(next.next_cursor)}`;
  }
  throw new Error("the pages do not end");
};

beforeAll(async () => {
  server = await TestServer.start();
  [ada, bob, root] = [await server.user(), await server.user(), await server.user({ admin: true })];
  const socket = await ada.socket();
  const gate = gates.add();
  for (let i = 0; i < 4; i += 1) {
    const made = [
      { name: "noop", status: "done", id: await ada.submit("noop", {}) },
      { name: "broken", status: "failed", id: await ada.submit("broken", { message: "x" }) },
      { name: "noop", status: "scheduled", id: await ada.submit("noop", {}, "?delay=1h") },
      { name: "hold", status: "in progress", id: await ada.submit("hold", { gate: gate.url }) },
      { name: "noop", status: "cancelled", id: await ada.submit("noop", {}, "?delay=1h") },
    ];
    await ada.post(`/tasks/${made[4]?.id}/cancel`);
    for (const { id, status } of made) await socket.status(id, status as TaskView["status"]);
    tasks.unshift(...made.reverse());
  }
  await bob.submit("noop", {}, "?delay=1h");
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await gates.stop();
  await server.stop();
});

describe("GET /tasks", () => {
  test("newest first, without args and result", async () => {
    const { items, next_cursor } = await page(ada, "");
    expect(items.map(({ task_id }) => task_id)).toEqual(tasks.map(({ id }) => id));
    expect(next_cursor).toBeNull();
    const whole = await ada.task(tasks[0]?.id ?? "");
    const { args: _args, result: _result, ...summary } = whole;
    expect(items[0]).toEqual(summary as TaskView);
  });

  test("filters, alone and together", async () => {
    for (const status of ["scheduled", "queued", "in progress", "retrying", "done", "failed", "cancelled"]) {
      for (const name of [undefined, "noop", "hold", "nothing"]) {
        const wanted = tasks
          .filter((task) => task.status === status && (name === undefined || task.name === name))
          .map(({ id }) => id);
        const query = `status=${encodeURIComponent(status)}${name === undefined ? "" : `&name=${name}`}`;
        expect((await page(ada, query)).items.map(({ task_id }) => task_id)).toEqual(wanted);
        const paged = await all(ada, `${query}&limit=3`);
        expect(paged.map(({ task_id }) => task_id)).toEqual(wanted);
      }
    }
    expect((await page(ada, "status=in+progress")).items).toHaveLength(4);
    expect((await page(ada, "name=noop")).items).toHaveLength(12);
  });

  test("pages of any size give the same", async () => {
    for (const limit of [1, 2, 7, 19, 20, 21, 200]) {
      const sizes: number[] = [];
      const items = await all(ada, `limit=${limit}`, async ({ items }) => sizes.push(items.length));
      expect(items.map(({ task_id }) => task_id)).toEqual(tasks.map(({ id }) => id));
      expect(Math.max(...sizes)).toBeLessThanOrEqual(limit);
    }
  });

  test("pages are complete and hold nothing twice while tasks are being added", async () => {
    const carol = await server.user();
    const before = (
      await carol.submitBatch(
        "any",
        Array.from({ length: 300 }, (_, i) => i),
      )
    ).reverse();
    let added = 0;
    const seen = await all(carol, "limit=23", async () => {
      await carol.submitBatch("any", [added, added]);
      added += 2;
    });
    expect(seen.map(({ task_id }) => task_id)).toEqual(before);
    expect((await all(carol, "limit=200")).length).toBe(300 + added);
  });

  test("a default of 50, at most 200", async () => {
    const dan = await server.user();
    await dan.submitBatch(
      "any",
      Array.from({ length: 230 }, (_, i) => i),
    );
    expect((await page(dan, "")).items).toHaveLength(50);
    expect((await page(dan, "limit=200")).items).toHaveLength(200);
  });

  test("queries that are not as declared: 422 naming the field", async () => {
    for (const [query, path] of [
      ...["0", "-1", "201", "1.5", "abc", "", "0x10", "1e1", "%201", "01", "99999999999"].map((limit) => [
        `limit=${limit}`,
        "/limit",
      ]),
      ...["running", "", "DONE", "in_progress"].map((status) => [`status=${status}`, "/status"]),
      ...["abc", "", "bjE=x", "LTE", "%00"].map((cursor) => [`cursor=${cursor}`, "/cursor"]),
      ["page=2", "/page"],
    ] as [string, string][]) {
      const response = await ada.get(`/tasks?${query}`);
      expect({ query, ...(await problem(response)) }).toMatchObject({ query, status: 422, paths: [path] });
    }
  });
});

describe("owner", () => {
  test("admins: one account, or all", async () => {
    expect((await page(root, "")).items).toEqual([]);
    expect((await page(root, `owner=${ada.id}`)).items.map(({ task_id }) => task_id)).toEqual(tasks.map(({ id }) => id));
    expect((await page(root, `owner=${bob.id}`)).items).toMatchObject([{ owner_id: bob.id }]);
    expect((await page(root, `owner=${crypto.randomUUID()}`)).items).toEqual([]);
    const everybody = await all(root, "owner=all&limit=200");
    expect(new Set(everybody.map(({ owner_id }) => owner_id)).size).toBeGreaterThan(1);
    expect(everybody.length).toBe((await all(root, "owner=all&limit=37")).length);
    expect((await all(root, `owner=all&status=failed&name=broken`)).length).toBe(4);
  });

  test("others: themselves; 403 for anybody else, whether there is such an account or not", async () => {
    expect((await page(bob, `owner=${bob.id}`)).items).toHaveLength(1);
    const answers = new Set<string>();
    for (const owner of ["all", ada.id, crypto.randomUUID(), "nobody", ""]) {
      const refused = await problem(await bob.get(`/tasks?owner=${owner}`));
      expect(refused).toMatchObject({ status: 403, code: "forbidden" });
      answers.add(refused.text);
    }
    expect(answers.size).toBe(1);
  });
});
