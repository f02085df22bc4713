import { describe, expect, test } from "bun:test";
import { isNotice, type Message, type Notice, type NoticeClient, transitionsOf } from "../support/notices.ts";
import { suiteServer, TestServer, type User } from "../support/server.ts";

const { server } = await suiteServer();

/** The latest transition of each task up to a seq, in seq order. */
function latest(history: readonly Notice[], after: number, upTo: number): Notice[] {
  const last = new Map<string, Notice>();
  for (const notice of history) if (notice.seq <= upTo) last.set(notice.task_id, notice);
  return [...last.values()].filter(({ seq }) => seq > after).sort((a, b) => a.seq - b.seq);
}

/** The messages up to the first `caught_up` from index `from`, and its seq. */
async function caughtUp(socket: NoticeClient, from = 0): Promise<{ seq: number; notices: Notice[]; at: number }> {
  const message = await socket.type("caught_up", from);
  const at = socket.messages.indexOf(message);
  return { seq: message["seq"] as number, notices: socket.messages.slice(from, at).filter(isNotice), at };
}

const key = ({ task_id, seq, status }: Notice): string => `${seq} ${task_id} ${status}`;

/**
 * What was heard must be the latest state of every task at the moment of `caught_up`, then every transition after it;
 * `history` is what a socket heard that was there all the time.
 */
function expectNoHole(
  history: readonly Notice[],
  socket: NoticeClient,
  since: number,
  caught: { seq: number; notices: Notice[]; at: number },
): void {
  const during = transitionsOf(caught.notices);
  const after = transitionsOf(socket.messages.slice(caught.at).filter(isNotice));
  // While it catches up, a task may be told of more than once as it goes on; what counts is the last word of each.
  const words = new Map(during.map((notice) => [notice.task_id, key(notice)]));
  const wanted = latest(history, since, caught.seq);
  expect(words.size).toBe(wanted.length);
  for (const notice of wanted) expect(words.get(notice.task_id)).toBe(key(notice));
  expect(after.map(key)).toEqual(history.filter(({ seq }) => seq > caught.seq).map(key));
  transitionsOf([...caught.notices, ...socket.messages.slice(caught.at).filter(isNotice)]);
}

/** Submits batches for as long as `until` is not there; fewer tasks in all than make a reset. */
async function load(user: User, until: () => boolean): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < 400 && !until(); i += 1) ids.push(...(await user.submitBatch("noop", new Array(20).fill({}))));
  return ids;
}

describe("the handshake's since", () => {
  test("the latest state of each task changed after it, in seq order, then caught_up and live notices", async () => {
    const ada = await server.user();
    const watcher = await ada.socket();
    const ids = await ada.submitBatch("noop", new Array(40).fill({}));
    for (const id of ids) await watcher.ended(id);
    const history = transitionsOf(watcher.notices);
    const { epoch, seq: start } = watcher.ready;
    for (const since of [start, history[30]?.seq ?? 0, history.at(-2)?.seq ?? 0, history.at(-1)?.seq ?? 0]) {
      const socket = await ada.socket(`?since=${since}&epoch=${epoch}`);
      const caught = await caughtUp(socket);
      expect(caught.notices.map(key)).toEqual(latest(history, since, Number.MAX_SAFE_INTEGER).map(key));
      expect(caught.seq).toBe(history.at(-1)?.seq ?? 0);
      expect(
        socket.messages
          .slice(0, 1)
          .concat(socket.messages.slice(caught.at))
          .map(({ type }) => type),
      ).toEqual(["ready", "caught_up"]);
      socket.terminate();
    }
    const last = await caughtUp(await ada.socket(`?since=${start}`));
    const { at: _, ...seen } = last.notices.at(-1) ?? ({} as Notice);
    expect(history.at(-1)).toMatchObject(seen);
  });

  test("results are in it as in live notices: whole up to 64 KiB, else truncated", async () => {
    const ada = await server.user();
    await ada.run("large", { bytes: 65_536 });
    await ada.run("large", { bytes: 65_537 });
    await ada.run("broken", { code: "gone", message: "x" });
    const { notices } = await caughtUp(await ada.socket("?since=0"));
    expect(notices.map(({ result, truncated, error }) => [String(result).length, truncated, error?.code])).toEqual([
      [65_534, undefined, undefined],
      [4, true, undefined],
      [4, undefined, "gone"],
    ]);
  });

  test("no hole and nothing twice while thousands of transitions happen", async () => {
    const ada = await server.user();
    const watcher = await ada.socket();
    const start = watcher.ready.seq;
    await ada.submitBatch("noop", new Array(1_000).fill({}));
    let open = 0;
    const sockets: { socket: NoticeClient; since: number }[] = [];
    const loading = load(ada, () => open === 12);
    for (let i = 0; i < 12; i += 1) {
      const since = i % 3 === 0 ? start : Math.floor(start + ((watcher.notices.at(-1)?.seq ?? start) - start) * (i / 12));
      const socket = await ada.socket(`?since=${since}&epoch=${watcher.ready.epoch}`);
      sockets.push({ socket, since });
      if (i % 2 === 0) await caughtUp(socket);
      open += 1;
    }
    const ids = await loading;
    for (const { socket } of [{ socket: watcher }, ...sockets]) for (const id of ids.slice(-20)) await socket.ended(id);
    const history = transitionsOf(watcher.notices);
    expect(history.length).toBeGreaterThan(4_000);
    for (const { socket, since } of sockets) expectNoHole(history, socket, since, await caughtUp(socket));
  }, 60_000);

  test("a client that is cut off again and again, and goes on from its last seq, misses no task's end", async () => {
    const ada = await server.user();
    const watcher = await ada.socket();
    let done = false;
    const loading = load(ada, () => done);
    const ends = new Map<string, number>();
    let since = watcher.ready.seq;
    for (let i = 0; i < 15; i += 1) {
      const socket = await ada.socket(`?since=${since}&epoch=${watcher.ready.epoch}`);
      const wanted = socket.messages.length + 40 * i;
      await socket.until(() => socket.messages.length >= wanted, "messages");
      socket.terminate();
      for (const { task_id, seq, status } of transitionsOf(socket.notices)) {
        if (status === "done") ends.set(task_id, (ends.get(task_id) ?? 0) + 1);
        since = Math.max(since, seq);
      }
    }
    done = true;
    const ids = await loading;
    const socket = await ada.socket(`?since=${since}&epoch=${watcher.ready.epoch}`);
    await Promise.all(ids.map((id) => (ends.has(id) ? undefined : socket.ended(id))));
    for (const { task_id, status } of transitionsOf(socket.notices))
      if (status === "done") ends.set(task_id, (ends.get(task_id) ?? 0) + 1);
    expect([...ends.values()].filter((times) => times !== 1)).toEqual([]);
    expect(ends.size).toBe(ids.length);
  });
});

describe("subscribe with since", () => {
  test("one task, me, and everything: each what changed after it", async () => {
    const root = await server.user({ admin: true });
    const ada = await server.user();
    const start = (await root.socket()).ready.seq;
    const mine = await root.run("noop", {});
    const hers = await ada.run("noop", {});
    const socket = await root.socket();
    for (const [topic, since, expected] of [
      [`task:${hers.task_id}`, start, [hers.seq]],
      [`task:${hers.task_id}`, hers.seq - 1, [hers.seq]],
      [`task:${hers.task_id}`, hers.seq, []],
      ["me", start, [mine.seq]],
      ["tasks", start, [mine.seq, hers.seq]],
    ] as const) {
      const from = socket.messages.length;
      socket.send({ type: "subscribe", topic, since });
      const { notices, seq } = await caughtUp(socket, from);
      expect(socket.messages[from]).toEqual({ type: "subscribed", topic });
      expect(notices.map((notice) => notice.seq)).toEqual([...expected]);
      expect(seq).toBeGreaterThanOrEqual(hers.seq);
    }
  });

  test("no hole and nothing twice under load, also for what was followed before", async () => {
    const root = await server.user({ admin: true });
    const ada = await server.user();
    const watcher = await root.socket();
    await watcher.ask({ type: "subscribe", topic: "tasks" }, "subscribed");
    const start = watcher.ready.seq;
    let rounds = 0;
    const loading = Promise.all([load(ada, () => rounds === 8), load(root, () => rounds === 8)]);
    const socket = await root.socket();
    const asked: { from: number; since: number; topic: string }[] = [];
    for (; rounds < 8; rounds += 1) {
      const topic = rounds % 2 === 0 ? "tasks" : "me";
      const since = Math.floor(start + ((watcher.notices.at(-1)?.seq ?? start) - start) * 0.8);
      const from = socket.messages.length;
      socket.send({ type: "subscribe", topic, since });
      const { at } = await caughtUp(socket, from);
      const begins = socket.messages.findIndex((message: Message, i) => i >= from && message.type === "subscribed");
      asked.push({ from: begins, since, topic });
      // From here to the next question everything comes live.
      await socket.until(() => socket.messages.length > at + 50, "live notices");
    }
    const ids = (await loading).flat();
    for (const id of ids) await watcher.ended(id);
    await socket.settle();
    const history = transitionsOf(watcher.notices);
    const last = asked.at(-1);
    for (const { from, since, topic } of asked) {
      const caught = await caughtUp(socket, from);
      const notices = transitionsOf(caught.notices);
      const wanted = latest(history, since, caught.seq).filter(({ owner_id }) => topic === "tasks" || owner_id === root.id);
      const words = new Map(notices.map((notice) => [notice.task_id, key(notice)]));
      for (const notice of wanted) expect(words.get(notice.task_id)).toBe(key(notice));
    }
    const caught = await caughtUp(socket, last?.from);
    expect(transitionsOf(socket.messages.slice(caught.at).filter(isNotice)).map(key)).toEqual(
      history.filter(({ seq }) => seq > caught.seq).map(key),
    );
  }, 60_000);

  test("asked twice at once, answered twice; unsubscribing ends it", async () => {
    const ada = await server.user();
    await ada.post("/tasks/noop/batch?delay=1h", new Array(1_000).fill({}));
    const watcher = await ada.socket();
    const from = watcher.messages.length;
    watcher.send({ type: "subscribe", topic: "me", since: 0 });
    watcher.send({ type: "subscribe", topic: "me", since: 0 });
    const first = await caughtUp(watcher, from);
    expect(transitionsOf(first.notices)).toHaveLength(1_000);
    expect((await caughtUp(watcher, first.at + 1)).notices).toEqual([]);
    const socket = await ada.socket();
    socket.send({ type: "subscribe", topic: "me", since: 0 });
    await socket.ask({ type: "unsubscribe", topic: "me" }, "unsubscribed");
    const heard = socket.notices.length;
    await ada.run("noop", {});
    await socket.type("caught_up");
    await socket.settle();
    expect(socket.notices.length).toBe(heard);
  });
});

describe("reset", () => {
  const outcome = async (socket: NoticeClient, from = 1): Promise<string> =>
    (await socket.next(({ type }) => type === "reset" || type === "caught_up", "an answer", from)).type;

  test("another epoch, and a seq that there has not been; then notices come live", async () => {
    const ada = await server.user();
    const { epoch, seq } = (await ada.socket()).ready;
    for (const query of [
      `since=${seq}&epoch=other`,
      `since=0&epoch=`,
      `since=${seq + 1_000_000}&epoch=${epoch}`,
      "since=999999999999999",
    ]) {
      const socket = await ada.socket(`?${query}`);
      expect(await outcome(socket)).toBe("reset");
      expect(socket.messages.slice(0, 2).map(({ type }) => type)).toEqual(["ready", "reset"]);
      const id = await ada.submit("noop", {});
      await socket.ended(id);
      expect(transitionsOf(socket.notices)).toHaveLength(3);
      socket.terminate();
    }
    const socket = await ada.socket();
    for (const message of [{ since: 10 ** 12 }, { since: 0, epoch: "other" }]) {
      const from = socket.messages.length;
      socket.send({ type: "subscribe", topic: "me", ...message });
      expect(await outcome(socket, from)).toBe("reset");
      expect(socket.messages[from]?.type).toBe("subscribed");
    }
    const id = await ada.submit("noop", {});
    await socket.ended(id);
    expect(transitionsOf(socket.notices)).toHaveLength(3);
  });

  test("10,000 changed tasks are caught up, one more is not; other people's do not count", async () => {
    const [ada, bob] = [await server.user(), await server.user()];
    const root = await server.user({ admin: true });
    const start = (await ada.socket()).ready.seq;
    for (let i = 0; i < 10; i += 1) await ada.post("/tasks/noop/batch?delay=1h", new Array(1_000).fill({}));
    const socket = await ada.socket(`?since=${start}`);
    expect((await caughtUp(socket)).notices).toHaveLength(10_000);
    await ada.submit("noop", {}, "?delay=1h");
    expect(await outcome(await ada.socket(`?since=${start}`))).toBe("reset");
    expect(await outcome(await ada.socket(`?since=${start + 1}`))).toBe("caught_up");
    expect(await outcome(await bob.socket(`?since=${start}`))).toBe("caught_up");
    const everything = await root.socket(`?since=${start}`);
    expect(await outcome(everything)).toBe("caught_up");
    const from = everything.messages.length;
    everything.send({ type: "subscribe", topic: "tasks", since: start });
    expect(await outcome(everything, from)).toBe("reset");
  });

  test("a seq whose changes have been removed", async () => {
    const old = await TestServer.start({}, (db) =>
      db.run("INSERT INTO meta (key, value) VALUES ('purged_seq', '500'), ('seq_limit', '500')"),
    );
    try {
      const user = await old.user();
      expect((await user.socket()).ready.seq).toBe(500);
      expect(await outcome(await user.socket("?since=499"))).toBe("reset");
      expect(await outcome(await user.socket("?since=500"))).toBe("caught_up");
    } finally {
      await old.stop();
    }
  });
});
