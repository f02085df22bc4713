import { describe, expect, test } from "bun:test";
import { isNotice, type Message, type NoticeClient, transitionsOf, workflowsOf } from "../support/notices.ts";
import { problem } from "../support/problems.ts";
import { suiteServer, type TaskView, type User } from "../support/server.ts";

const { server, gates } = await suiteServer();

interface WorkflowView {
  readonly workflow_id: string;
  readonly owner_id: string;
  readonly status: string;
  readonly progress: number;
  readonly result: unknown;
  readonly counts: Readonly<Record<string, number>>;
  readonly created_at: string;
  readonly finished_at: string | null;
  readonly seq: number;
  readonly tasks: readonly TaskView[];
}

interface Accepted {
  readonly workflow_id: string;
  readonly task_ids: readonly string[];
}

const echo = (value: unknown) => ({ task: "echo", input: { value } });
const result = (pointer = "") => ({ $result: pointer });

async function submit(user: User, description: unknown): Promise<Accepted> {
  const response = await user.post("/workflows", description);
  if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as Accepted;
}

const show = async (user: User, id: string): Promise<WorkflowView> =>
  (await (await user.get(`/workflows/${id}`)).json()) as WorkflowView;

/** Everything with a seq, in the order in which it came, but progress in between. */
function seqsOf(messages: readonly Message[]): number[] {
  const tasks = new Set(transitionsOf(messages.filter(isNotice)));
  const workflows = new Set<unknown>(workflowsOf(messages));
  return messages
    .filter((message) => workflows.has(message) || (isNotice(message) && tasks.has(message)))
    .map((message) => (message as unknown as { seq: number }).seq);
}

function expectInOrder(messages: readonly Message[]): void {
  const seqs = seqsOf(messages);
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
}

describe("POST /workflows", () => {
  test("a chain, a group and a chord run to their values", async () => {
    const ada = await server.user();
    const socket = await ada.socket();
    for (const [description, value] of [
      [{ chain: [echo(1), echo([result()]), echo({ a: result("/0") })] }, { a: 1 }],
      [{ group: [echo(1), { chain: [echo(2), echo(result())] }] }, [1, 2]],
      [{ chord: [echo("a"), echo("b")], then: echo(result()) }, ["a", "b"]],
      [{ chain: [{ group: [echo("a"), echo({ b: 2 })] }, { group: [echo(result("/0")), echo(result("/1/b"))] }] }, ["a", 2]],
    ] as const) {
      const response = await ada.post("/workflows", description);
      expect(response.status).toBe(202);
      const { workflow_id, task_ids } = (await response.json()) as Accepted;
      expect(response.headers.get("location")).toBe(`/workflows/${workflow_id}`);
      const notice = await socket.workflowEnded(workflow_id);
      expect(notice).toMatchObject({
        owner_id: ada.id,
        status: "done",
        progress: 1,
        counts: { done: task_ids.length, failed: 0 },
      });
      const shown = await show(ada, workflow_id);
      expect(shown).toMatchObject({ workflow_id, owner_id: ada.id, status: "done", progress: 1, result: value, seq: notice.seq });
      expect(shown.tasks.map(({ task_id }) => task_id)).toEqual([...task_ids]);
      expect(shown.finished_at).not.toBeNull();
      expect(await ada.task(task_ids[0] ?? "")).toMatchObject({ workflow_id, status: "done" });
    }
    expectInOrder(socket.messages);
    // Those of no workflow say nothing of one.
    expect(await ada.run("echo", { value: 1 })).not.toHaveProperty("workflow_id");
  });

  test("what waits is scheduled for no time", async () => {
    const ada = await server.user();
    const gate = gates.add();
    const { task_ids, workflow_id } = await submit(ada, {
      chain: [{ task: "hold", input: { gate: gate.url } }, echo(result())],
    });
    expect(await ada.task(task_ids[1] ?? "")).toMatchObject({ status: "scheduled", run_at: null, args: { value: result() } });
    expect(await show(ada, workflow_id)).toMatchObject({ status: "in progress", result: null, finished_at: null });
    const socket = await ada.socket();
    gate.open("through");
    await socket.workflowEnded(workflow_id);
    expect(await ada.task(task_ids[1] ?? "")).toMatchObject({ status: "done", args: { value: "through" }, result: "through" });
  });

  test.each<[string, unknown, number, object]>([
    ["what is no workflow", { series: [] }, 422, { code: "invalid_input", paths: [""] }],
    ["an unknown task", { chain: [{ task: "none" }] }, 422, { code: "invalid_input", paths: ["/chain/0/task"] }],
    [
      "an input that does not fit",
      { group: [echo(1), { task: "strict", input: { count: "1", name: "a" } }] },
      422,
      { code: "invalid_input", paths: ["/group/1/input/count"] },
    ],
    ["a reference to nothing", { chain: [echo(result())] }, 422, { paths: ["/chain/0/input/value"] }],
  ])("%s is refused, and nothing is stored", async (_, description, status, expected) => {
    const ada = await server.user();
    expect(await problem(await ada.post("/workflows", description))).toMatchObject({ status, ...expected });
    expect(await (await ada.get("/tasks")).json()).toEqual({ items: [], next_cursor: null });
    expect(await (await ada.get("/workflows")).json()).toEqual({ items: [], next_cursor: null });
  });

  test("delays and priorities, of the whole and of a step", async () => {
    const ada = await server.user();
    const socket = await ada.socket();
    const described = { chain: [echo(1), { ...echo(result()), delay: "20ms", priority: "low" }] };
    const response = await ada.post("/workflows?delay=20ms&priority=high", described);
    const { workflow_id, task_ids } = (await response.json()) as Accepted;
    await socket.workflowEnded(workflow_id);
    const [first, second] = (await show(ada, workflow_id)).tasks;
    expect([first?.priority, second?.priority, second?.status]).toEqual(["high", "low", "done"]);
    // Each began when it was due, and the second one was told to wait once the first one was done.
    const waited = socket.messages.filter(isNotice).filter(({ task_id }) => task_id === task_ids[1]);
    expect(waited.map(({ status }) => status).slice(0, 3)).toEqual(["scheduled", "scheduled", "queued"]);
    for (const task of [first, second])
      expect(Date.parse(task?.started_at ?? "")).toBeGreaterThanOrEqual(Date.parse(task?.run_at ?? ""));
    const refused = (query: string) => ada.post(`/workflows?${query}`, described).then(problem);
    expect(await refused("delay=soon")).toMatchObject({ status: 422, code: "invalid_delay", paths: ["/delay"] });
    expect(await refused("priority=urgent")).toMatchObject({ status: 422, paths: ["/priority"] });
    expect(await refused("delays=1s")).toMatchObject({ status: 422, paths: ["/delays"] });
  });

  test("what belongs to HTTP is as everywhere", async () => {
    const ada = await server.user();
    expect((await server.post("/workflows", {})).status).toBe(401);
    const raw = (body: string, type = "application/json") =>
      server.fetch("/workflows", { method: "POST", headers: { ...ada.headers, "content-type": type }, body });
    expect((await raw("{")).status).toBe(400);
    expect((await raw("{}", "text/plain")).status).toBe(415);
    expect((await raw(" ".repeat(1_048_577))).status).toBe(413);
    expect((await ada.get("/workflows?limit=0")).status).toBe(422);
    expect((await ada.get("/workflows?owner=all")).status).toBe(403);
    const key = { "idempotency-key": "k" };
    const first = await (await ada.post("/workflows", { chain: [echo(1)] }, key)).json();
    expect(await (await ada.post("/workflows", { chain: [echo(1)] }, key)).json()).toEqual(first);
    expect((await ada.post("/workflows", { chain: [echo(2)] }, key)).status).toBe(409);
  });
});

describe("a failed workflow", () => {
  test("says so, and its retry goes on from there", async () => {
    const ada = await server.user();
    const socket = await ada.socket();
    const gate = gates.add();
    const { workflow_id, task_ids } = await submit(ada, {
      chord: [
        { task: "broken", input: { message: "no" } },
        { task: "hold", input: { gate: gate.url } },
      ],
      then: echo(result()),
    });
    await socket.status(task_ids[2] ?? "", "cancelled");
    expect(await problem(await ada.post(`/tasks/${task_ids[2]}/retry`))).toMatchObject({ status: 409, code: "waits_for_failed" });
    expect((await ada.post(`/workflows/${workflow_id}/retry`)).status).toBe(409);
    gate.open();
    expect(await socket.workflowEnded(workflow_id)).toMatchObject({
      status: "failed",
      counts: { failed: 1, done: 1, cancelled: 1 },
    });
    expect((await show(ada, workflow_id)).tasks[2]?.error?.message).toBe(`the task ${task_ids[0]} (broken) before it failed`);
    const retried = await ada.post(`/workflows/${workflow_id}/retry`);
    expect(retried.status).toBe(202);
    expect((await retried.json()) as WorkflowView).toMatchObject({ status: "in progress", counts: { done: 1, scheduled: 1 } });
  });

  test("cancel ends what waits and stops what runs", async () => {
    const ada = await server.user();
    const socket = await ada.socket();
    const { workflow_id, task_ids } = await submit(ada, {
      chain: [{ task: "hold", input: { gate: gates.add().url } }, echo(1)],
    });
    await socket.status(task_ids[0] ?? "", "in progress");
    expect((await ada.post(`/workflows/${workflow_id}/cancel`)).status).toBe(202);
    expect(await socket.workflowEnded(workflow_id)).toMatchObject({ status: "cancelled", counts: { cancelled: 2 } });
    expect((await ada.post(`/workflows/${workflow_id}/cancel`)).status).toBe(409);
  });
});

describe("who may see it", () => {
  test("its owner and admins, by HTTP and by WebSocket", async () => {
    const [ada, bob, root] = [await server.user(), await server.user(), await server.user({ admin: true })];
    const [hers, his, all] = [await ada.socket(), await bob.socket(), await root.socket()];
    await all.ask({ type: "subscribe", topic: "tasks" }, "subscribed");
    const { workflow_id } = await submit(ada, { chain: [echo("secret"), echo(result())] });
    await hers.workflowEnded(workflow_id);
    await all.workflowEnded(workflow_id);
    for (const path of ["", "/cancel", "/retry"]) {
      const call = (id: string) => (path === "" ? bob.get(`/workflows/${id}`) : bob.post(`/workflows/${id}${path}`));
      const strange = await problem(await call(workflow_id));
      expect(strange).toMatchObject({ status: 404, code: "workflow_not_found" });
      expect(await problem(await call(crypto.randomUUID()))).toEqual(strange);
    }
    his.send({ type: "subscribe", topic: `workflow:${workflow_id}` });
    expect(await his.type("error")).toMatchObject({ code: "forbidden" });
    await his.settle();
    expect(JSON.stringify(his.messages.slice(1))).not.toContain("secret");
    expect(his.workflows).toEqual([]);
    expect((await show(root, workflow_id)).owner_id).toBe(ada.id);
    const list = (user: User, query = "") => user.get(`/workflows${query}`).then((answer) => answer.json());
    expect(await list(bob)).toEqual({ items: [], next_cursor: null });
    const { result: _, tasks: __, ...summary } = await show(ada, workflow_id);
    expect(await list(ada)).toEqual({ items: [summary], next_cursor: null });
    expect(await list(root, `?owner=${ada.id}`)).toEqual({ items: [summary], next_cursor: null });
  });
});

describe("notices", () => {
  const wide = { chain: [{ group: new Array(30).fill(echo(1)) }, { group: new Array(30).fill(echo(result("/3"))) }] };

  test("of one workflow on a topic of its own, once though all of its owner's come too", async () => {
    const ada = await server.user();
    const watcher = await ada.socket();
    const { workflow_id } = await submit(ada, wide);
    const single = await ada.socket();
    await single.ask({ type: "unsubscribe", topic: "me" }, "unsubscribed");
    const from = single.messages.length;
    single.send({ type: "subscribe", topic: `workflow:${workflow_id}`, since: watcher.ready.seq, epoch: single.ready.epoch });
    await single.type("caught_up");
    await watcher.ask({ type: "subscribe", topic: `workflow:${workflow_id}` }, "subscribed");
    await submit(ada, { chain: [echo(1)] });
    await Promise.all([single, watcher].map((socket) => socket.workflowEnded(workflow_id)));
    const heard = single.messages.slice(from);
    expect(workflowsOf(heard).every((notice) => notice.workflow_id === workflow_id)).toBe(true);
    expect(heard.some(isNotice)).toBe(false);
    expectInOrder(watcher.messages);
    expectInOrder(heard);
  });

  test("catching up under load misses no workflow, and tells everything in order, once", async () => {
    const ada = await server.user();
    const watcher = await ada.socket();
    const { epoch } = watcher.ready;
    const ids: string[] = [];
    const heard: { socket: NoticeClient; since: number }[] = [];
    for (let i = 0; i < 12; i += 1) {
      ids.push((await submit(ada, wide)).workflow_id);
      const seqs = seqsOf(watcher.messages);
      const since = seqs[Math.floor(seqs.length * (i / 14))] ?? watcher.ready.seq;
      heard.push({ socket: await ada.socket(`?since=${since}&epoch=${epoch}`), since });
    }
    for (const id of ids) await watcher.workflowEnded(id);
    expectInOrder(watcher.messages);
    for (const { socket, since } of heard) {
      for (const { workflow_id, seq, status } of watcher.workflows)
        if (status === "done" && seq > since) await socket.workflowEnded(workflow_id);
      const caught = socket.messages.indexOf(await socket.type("caught_up"));
      expectInOrder(socket.messages);
      const { seq } = socket.messages[caught] as unknown as { seq: number };
      // Before: the last word of each that changed since. After: every word.
      const last = new Map(watcher.workflows.filter((each) => each.seq <= seq).map((each) => [each.workflow_id, each.seq]));
      const words = new Map(workflowsOf(socket.messages.slice(0, caught)).map((each) => [each.workflow_id, each.seq]));
      expect(words).toEqual(new Map([...last].filter(([, at]) => at > since)));
      const after = workflowsOf(socket.messages.slice(caught)).map((each) => each.seq);
      expect(after).toEqual(watcher.workflows.map((each) => each.seq).filter((each) => each > seq));
    }
  }, 60_000);
});
