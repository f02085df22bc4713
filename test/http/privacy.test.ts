import { expect, test } from "bun:test";
import { problem } from "../support/problems.ts";
import { suiteServer, type User } from "../support/server.ts";

const { server, gates } = await suiteServer({ logRequests: true });
const [ada, bob, root] = [await server.user(), await server.user(), await server.user({ admin: true })] as const;
/** Stands in everything of Ada's, and so may stand in nothing that Bob gets. */
const SECRET = "ada-only-5d1f";

/** Tasks of Ada's in every state that there is. */
async function adasTasks(): Promise<{ id: string; status: string }[]> {
  const gate = gates.add();
  const socket = await ada.socket();
  const tasks = [
    { status: "done", id: await ada.submit("echo", { value: SECRET }) },
    { status: "failed", id: await ada.submit("broken", { code: "ada_only", message: SECRET }) },
    { status: "in progress", id: await ada.submit("hold", { gate: `${gate.url}?${SECRET}` }) },
    { status: "scheduled", id: await ada.submit("echo", { value: SECRET }, "?delay=1h") },
    { status: "cancelled", id: await ada.submit("echo", { value: SECRET }, "?delay=1h") },
  ];
  await ada.post(`/tasks/${tasks[4]?.id}/cancel`);
  for (const { id, status } of tasks) await socket.status(id, status as "done");
  socket.terminate();
  return tasks;
}

test("invariant 7: by HTTP somebody else's task is answered like one that does not exist", async () => {
  const tasks = await adasTasks();
  const calls = [
    ["GET", ""],
    ["GET", "/logs"],
    ["POST", "/cancel"],
    ["POST", "/retry"],
  ] as const;
  const answer = async (user: User, method: string, path: string) => {
    const response = await server.fetch(path, { method, headers: user.headers });
    const { date: _, ...headers } = Object.fromEntries(response.headers);
    return { headers, ...(await problem(response)) };
  };
  for (const [method, path] of calls) {
    const unknown = await answer(bob, method, `/tasks/${crypto.randomUUID()}${path}`);
    expect(unknown).toMatchObject({ status: 404, code: "task_not_found" });
    expect(await answer(bob, method, `/tasks/nonsense${path}`)).toEqual(unknown);
    for (const { id } of tasks) {
      expect(await answer(bob, method, `/tasks/${id}${path}`)).toEqual(unknown);
      expect(await answer(bob, method, `/tasks/${id.toUpperCase()}${path}`)).toEqual(unknown);
    }
  }
  // Nothing has come of the attempts.
  for (const { id, status } of tasks) expect((await ada.task(id)).status).toBe(status as never);
  for (const query of ["", "status=done", "name=echo", "limit=200"]) {
    expect(await (await bob.get(`/tasks?${query}`)).json()).toEqual({ items: [], next_cursor: null });
  }
  // A cursor is a place in the order, not a right.
  const { next_cursor } = (await (await ada.get("/tasks?limit=1")).json()) as { next_cursor: string };
  expect(await (await bob.get(`/tasks?cursor=${next_cursor}`)).json()).toEqual({ items: [], next_cursor: null });
  expect(await problem(await bob.get(`/tasks?owner=${ada.id}`))).toMatchObject({ status: 403 });
});

test("invariant 7: by WebSocket nobody hears of anybody else's tasks, whatever he asks for", async () => {
  const [before] = await adasTasks();
  const socket = await bob.socket("?since=0");
  const unknown = { type: "error", code: "forbidden", message: expect.any(String) };
  const seen = new Set<string>();
  for (const topic of [`task:${before?.id}`, `task:${crypto.randomUUID()}`, "tasks", `owner:${ada.id}`, ada.id]) {
    for (const type of ["subscribe", "unsubscribe"]) {
      for (const since of [{}, { since: 0 }]) {
        const refused = await socket.ask({ type, topic, ...since }, "error");
        expect(refused).toEqual({ ...unknown, topic } as never);
        seen.add(String(refused["message"]));
      }
    }
  }
  expect(seen.size).toBe(1);
  socket.send({ type: "subscribe", topic: "me", since: 0 });
  await socket.type("caught_up", socket.messages.length);
  await adasTasks();
  const mine = await bob.submit("echo", { value: "bob" });
  await socket.ended(mine);
  await socket.settle();
  expect(new Set(socket.notices.map(({ task_id }) => task_id))).toEqual(new Set([mine]));
  expect(JSON.stringify(socket.messages)).not.toContain(SECRET);
});

test("invariant 7: each of many users gets his own and nothing else, while all of them work", async () => {
  const users = await Promise.all(Array.from({ length: 8 }, () => server.user()));
  const sockets = await Promise.all(users.map((user) => user.socket()));
  const everything = await root.socket();
  await everything.ask({ type: "subscribe", topic: "tasks" }, "subscribed");
  const ids = await Promise.all(
    users.map(async (user) => {
      const own: string[] = [];
      for (let i = 0; i < 5; i += 1) own.push(...(await user.submitBatch("echo", new Array(20).fill({ value: user.id }))));
      return own;
    }),
  );
  for (const [i, socket] of sockets.entries()) {
    for (const id of ids[i] ?? []) await socket.ended(id);
    await socket.settle();
    expect(new Set(socket.notices.map(({ task_id }) => task_id))).toEqual(new Set(ids[i]));
    expect(new Set(socket.notices.map(({ owner_id }) => owner_id))).toEqual(new Set([users[i]?.id ?? ""]));
    for (const { result, status } of socket.notices) if (status === "done") expect(result).toBe(users[i]?.id);
  }
  for (const id of ids.flat()) await everything.ended(id);
});

test("admins see, cancel and retry everybody's", async () => {
  const tasks = await adasTasks();
  const socket = await root.socket();
  for (const { id, status } of tasks) {
    expect(await root.task(id)).toMatchObject({ owner_id: ada.id, status });
    expect((await root.get(`/tasks/${id}/logs`)).status).toBe(200);
    await socket.ask({ type: "subscribe", topic: `task:${id}` }, "subscribed");
  }
  const [, failed, running] = tasks;
  expect((await root.post(`/tasks/${running?.id}/cancel`)).status).toBe(202);
  await socket.status(running?.id ?? "", "cancelled");
  expect((await root.post(`/tasks/${failed?.id}/retry`)).status).toBe(202);
  expect(await socket.status(failed?.id ?? "", "failed")).toMatchObject({ owner_id: ada.id });
});

test("invariant 7: nothing of users and their tasks stands where everybody may look, nor in the log", async () => {
  await adasTasks();
  await bob.post("/tasks/strict", { count: SECRET, [SECRET]: 1 });
  const open = await Promise.all(
    ["/metrics", "/health/ready", "/health/live", "/openapi.json"].map(async (path) => (await server.fetch(path)).text()),
  );
  for (const text of [...open, JSON.stringify(server.lines)]) {
    for (const secret of [SECRET, ada.id, ada.email, bob.id, "ada_only"]) expect(text).not.toContain(secret);
  }
});
