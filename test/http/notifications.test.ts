import { describe, expect, test } from "bun:test";
import { type NoticeClient, transitionsOf } from "../support/notices.ts";
import { RawSocket } from "../support/raw-socket.ts";
import { suiteServer } from "../support/server.ts";

const PATH = "/ws/notifications";

const { server, gates } = await suiteServer();
const ada = await server.user();

describe("notices", () => {
  test("ready comes first and says where the client stands", async () => {
    const before = await ada.run("noop", {});
    const socket = await ada.socket();
    expect(socket.messages[0]).toEqual({ type: "ready", user_id: ada.id, epoch: expect.any(String), seq: before.seq } as never);
    await socket.settle();
    expect(socket.messages.map(({ type }) => type)).toEqual(["ready", "pong"]);
  });

  test("every stored transition, with all its fields; whoever then asks sees it", async () => {
    const socket = await ada.socket();
    const id = await ada.submit("echo", { value: { deep: ["é", null] } });
    const done = await socket.ended(id);
    expect(done).toEqual({
      type: "task",
      seq: expect.any(Number),
      task_id: id,
      owner_id: ada.id,
      name: "echo",
      status: "done",
      progress: 1,
      message: null,
      attempt: 1,
      result: { deep: ["é", null] },
      error: null,
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    } as never);
    expect(await ada.task(id)).toMatchObject({ status: "done", seq: done.seq, finished_at: done.at });
    expect(socket.notices.map(({ status }) => status)).toEqual(["queued", "in progress", "done"]);
    expect(transitionsOf(socket.notices)).toHaveLength(3);
  });

  test("retries and failures", async () => {
    const socket = await ada.socket();
    const id = await ada.submit("flaky", { until: 2 });
    await socket.ended(id);
    expect(socket.notices.map(({ status, attempt }) => `${status} ${attempt}`)).toEqual([
      "queued 1",
      "in progress 1",
      "retrying 1",
      "queued 2",
      "in progress 2",
      "done 2",
    ]);
    expect(socket.notices[2]?.error).toEqual({ code: "error", message: "not yet" });
  });

  test("a result of 64 KiB is in the notice, a larger one is left out, counted in bytes", async () => {
    for (const [letter, bytes] of [
      ["x", 65_536],
      ["é", 65_536],
    ] as const) {
      const socket = await ada.socket();
      const fits = await ada.submit("large", { bytes, letter });
      const fitting = await socket.ended(fits);
      expect(Buffer.byteLength(JSON.stringify(fitting.result))).toBe(bytes);
      expect(fitting).not.toHaveProperty("truncated");
      const over = await ada.submit("large", { bytes: bytes + Buffer.byteLength(letter), letter });
      expect(await socket.ended(over)).toMatchObject({ status: "done", result: null, truncated: true });
      expect(String((await ada.task(over)).result).length).toBe((65_536 - 2) / Buffer.byteLength(letter) + 1);
    }
  });

  test("progress: the first at once, at most ten a second, no new seq, none after the end", async () => {
    const socket = await ada.socket();
    const gate = gates.add();
    const id = await ada.submit("steps", { steps: 100_000, ms: 1_150, gate: gate.url });
    await gate.arrived;
    const walked = socket.notices.filter(({ progress }) => progress !== null);
    gate.open();
    const done = await socket.ended(id);
    await socket.settle();
    expect(walked[0]).toMatchObject({ progress: 0, message: "step 0" });
    expect(walked.length).toBeGreaterThan(2);
    expect(walked.length).toBeLessThanOrEqual(13);
    const started = socket.notices.find(({ status }) => status === "in progress");
    for (const notice of walked) expect(notice).toMatchObject({ seq: started?.seq, status: "in progress", task_id: id });
    expect(socket.notices.at(-1)).toEqual(done);
    expect(transitionsOf(socket.notices).map(({ status }) => status)).toEqual(["queued", "in progress", "done"]);
  });

  test("progress stays at ten a second for a task that logs each step, and beside others that end", async () => {
    const socket = await ada.socket();
    const gate = gates.add();
    const id = await ada.submit("steps", { steps: 100_000, ms: 1_150, gate: gate.url, talk: true });
    await ada.submitBatch("noop", new Array(100).fill({}));
    await gate.arrived;
    gate.open();
    await socket.ended(id);
    const walked = socket.notices.filter(
      ({ task_id, progress, status }) => task_id === id && progress !== null && status === "in progress",
    );
    expect(walked.length).toBeGreaterThan(2);
    expect(walked.length).toBeLessThanOrEqual(14);
  });
});

describe("topics", () => {
  /** What a socket heard of some tasks: each stored transition once. */
  const heard = (socket: NoticeClient, ids: readonly string[]): string[] =>
    transitionsOf(socket.notices)
      .filter(({ task_id }) => ids.includes(task_id))
      .map(({ task_id, status }) => `${ids.indexOf(task_id)} ${status}`);
  const WHOLE = ["queued", "in progress", "done"];

  test("once each, however many topics carry it, and in whatever order they were chosen", async () => {
    const root = await server.user({ admin: true });
    const gate = gates.add();
    const first = await root.socket();
    const id = await root.submit("hold", { gate: gate.url });
    await first.until(() => first.notices.some(({ progress }) => progress === 0.25), "word from the gate");
    const topics = ["me", `task:${id}`, "tasks"];
    const orders = topics.flatMap((a) => topics.flatMap((b) => topics.map((c) => [a, b, c])));
    const sockets = await Promise.all(
      orders.map(async (order) => {
        const socket = await root.socket();
        for (const topic of order)
          expect(await socket.ask({ type: "subscribe", topic }, "subscribed")).toEqual({ type: "subscribed", topic });
        return socket;
      }),
    );
    gate.open();
    for (const socket of sockets) await socket.ended(id);
    const after = await root.submit("noop", {});
    for (const socket of sockets) {
      await socket.ended(after);
      expect(heard(socket, [id, after])).toEqual(["0 done", "1 queued", "1 in progress", "1 done"]);
    }
  });

  test("unsubscribing: what is followed elsewhere still comes, once; else nothing does", async () => {
    const root = await server.user({ admin: true });
    const socket = await root.socket();
    const watcher = await root.socket();
    const step = async (type: "subscribe" | "unsubscribe", topic: string) =>
      expect(await socket.ask({ type, topic }, `${type}d`)).toEqual({ type: `${type}d`, topic });
    const hears = async (expected: string[]) => {
      const from = socket.notices.length;
      const id = await root.submit("noop", {});
      await watcher.ended(id);
      await socket.settle();
      expect(transitionsOf(socket.notices.slice(from)).map(({ status }) => status)).toEqual(expected as never);
    };
    await hears(WHOLE);
    await step("subscribe", "tasks");
    await hears(WHOLE);
    await step("unsubscribe", "me");
    await hears(WHOLE);
    await step("unsubscribe", "tasks");
    await hears([]);
    await step("unsubscribe", "tasks");
    await step("subscribe", "me");
    await hears(WHOLE);
    await step("unsubscribe", "me");
    const gate = gates.add();
    const [one, other] = [await root.submit("hold", { gate: gate.url }), await root.submit("hold", { gate: gate.url })];
    await step("subscribe", `task:${one}`);
    gate.open();
    await watcher.ended(one);
    await watcher.ended(other);
    await socket.ended(one);
    await socket.settle();
    expect(
      socket.notices
        .filter(({ task_id, status }) => task_id === other || (task_id === one && status !== "in progress"))
        .map(({ task_id, status }) => [task_id, status]),
    ).toEqual([[one, "done"]]);
  });

  test("switching topics all the time loses nothing and repeats nothing", async () => {
    const root = await server.user({ admin: true });
    const socket = await root.socket();
    const watcher = await root.socket();
    const ids: string[] = [];
    for (let round = 0; round < 25; round += 1) {
      const accepted = root.submitBatch("noop", new Array(20).fill({}));
      // One of the two is followed at any time.
      socket.send({ type: "subscribe", topic: "tasks" });
      socket.send({ type: "unsubscribe", topic: "me" });
      socket.send({ type: "subscribe", topic: "me" });
      socket.send({ type: "unsubscribe", topic: "tasks" });
      ids.push(...(await accepted));
    }
    for (const id of ids) await watcher.ended(id);
    for (const id of ids) await socket.ended(id);
    const transitions = transitionsOf(socket.notices.filter(({ task_id }) => ids.includes(task_id)));
    expect(transitions).toHaveLength(ids.length * 3);
    expect(transitions).toEqual(transitionsOf(watcher.notices));
  });

  test("more single tasks than a socket may follow", async () => {
    const socket = await ada.socket();
    const ids = (await ada.submitBatch("noop", new Array(1_000).fill({}))).map((id) => `task:${id}`);
    for (const topic of ids) socket.send({ type: "subscribe", topic });
    await socket.settle();
    expect(socket.messages.filter(({ type }) => type === "subscribed")).toHaveLength(1_000);
    const topic = `task:${await ada.submit("noop", {})}`;
    expect(await socket.ask({ type: "subscribe", topic }, "error")).toMatchObject({ code: "too_many_topics" });
    expect(await socket.ask({ type: "subscribe", topic: ids[0] }, "subscribed")).toMatchObject({ topic: ids[0] });
  });
});

describe("messages", () => {
  test("ping in both forms", async () => {
    const socket = await ada.socket();
    expect(await socket.ask("ping", "pong")).toEqual({ type: "pong" });
    expect(await socket.ask({ type: "ping" }, "pong")).toEqual({ type: "pong" });
  });

  test("what cannot be taken: bad_message, and the socket stays", async () => {
    const socket = await ada.socket();
    const deep = `${"[".repeat(30_000)}${"]".repeat(30_000)}`;
    const bad = [
      ...["", " ", "pong", "{", "null", "[]", "1", '"ping"', "true", "[[{}]]", deep, "\u0000"],
      ...[{}, { type: 1 }, { type: null }, { type: "Ping" }, { type: "task" }, { type: "__proto__" }, { Type: "ping" }],
      ...[{ type: "subscribe" }, { type: "subscribe", topic: 1 }, { type: "subscribe", topic: ["me"] }, { type: "unsubscribe" }],
      ...[-1, 1.5, "1", null, 2 ** 60, {}].map((since) => ({ type: "subscribe", topic: "me", since })),
    ];
    for (const message of bad) expect(await socket.ask(message, "error")).toMatchObject({ type: "error", code: "bad_message" });
    const from = socket.messages.length;
    for (const bytes of [Buffer.from('{"type":"ping"}'), Buffer.alloc(0), Buffer.from([0xff, 0xfe])]) socket.socket.send(bytes);
    await socket.settle();
    expect(socket.messages.slice(from).map(({ type }) => type)).toEqual(["error", "error", "error", "pong"]);
    expect(await socket.ended(await ada.submit("noop", {}))).toMatchObject({ status: "done" });
  });

  test("topics that are not allowed: forbidden, and the socket stays", async () => {
    const socket = await ada.socket();
    for (const topic of [
      "tasks",
      "",
      "you",
      "task:",
      "task:x",
      `task:${crypto.randomUUID()}`,
      `owner:${ada.id}`,
      "ME",
      "task:\u0000",
    ]) {
      for (const type of ["subscribe", "unsubscribe"]) {
        expect(await socket.ask({ type, topic }, "error")).toMatchObject({ code: "forbidden", topic });
      }
    }
    await socket.settle();
  });

  test("a frame of 64 KiB is taken, a larger one closes with 1009", async () => {
    const socket = await ada.socket();
    expect(await socket.ask(" ".repeat(65_536), "error")).toMatchObject({ code: "bad_message" });
    socket.send(" ".repeat(65_537));
    // The server drops the connection right after its close frame.
    expect([1009, 1006]).toContain((await socket.close()).code);
    const raw = await RawSocket.open(server.port, PATH, ada.headers);
    await raw.frame();
    raw.send(1, " ".repeat(65_537));
    const frames = await raw.rest();
    expect(frames.map(({ opcode, payload }) => [opcode, payload.length >= 2 ? payload.readUInt16BE(0) : 0])).toEqual([[8, 1009]]);
  });

  test("one JSON object a text frame; control frames are answered", async () => {
    const raw = await RawSocket.open(server.port, PATH, ada.headers);
    const ready = await raw.frame();
    expect([ready?.opcode, JSON.parse(String(ready?.payload)).type]).toEqual([1, "ready"]);
    raw.send(9, "are you there");
    expect(await raw.frame()).toEqual({ opcode: 10, payload: Buffer.from("are you there") });
    // One message in three frames.
    raw.send(1, '{"ty', false);
    raw.send(0, 'pe":"pi', false);
    raw.send(0, 'ng"}');
    expect(String((await raw.frame())?.payload)).toBe('{"type":"pong"}');
    raw.send(8, Buffer.from([0x03, 0xe8]));
    expect((await raw.frame())?.opcode).toBe(8);
    raw.destroy();
  });
});
