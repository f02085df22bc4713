import { expect, test } from "bun:test";
import { isNotice, type Message, type Notice, type NoticeClient, transitionsOf } from "../support/notices.ts";
import { RawSocket } from "../support/raw-socket.ts";
import { suiteServer, type User } from "../support/server.ts";

const PATH = "/ws/notifications";
/** Bytes of one result: it goes into the notice whole. */
const LARGE = 60_000;
const MIB = 1024 * 1024;

const { server } = await suiteServer();

/** Runs this many tasks with large results to their ends. */
async function produce(user: User, watcher: NoticeClient, count: number): Promise<string[]> {
  const ids = await user.submitBatch("large", new Array(count).fill({ bytes: LARGE }));
  for (const id of ids) await watcher.ended(id);
  return ids;
}

async function openSockets(): Promise<number> {
  const text = await (await server.fetch("/metrics")).text();
  return Number(/^artel_sockets (\d+)$/m.exec(text)?.[1]);
}

const messagesOf = (frames: readonly { opcode: number; payload: Buffer }[]): Message[] =>
  frames.filter(({ opcode }) => opcode === 1).map(({ payload }) => JSON.parse(String(payload)) as Message);

test("a reader that stops is cut off, what waits for it is bounded, and with since it then misses nothing", async () => {
  const ada = await server.user();
  const watcher = await ada.socket();
  const before = await openSockets();
  const readers = await Promise.all(Array.from({ length: 20 }, () => RawSocket.open(server.port, PATH, ada.headers)));
  for (const reader of readers) reader.pause();
  expect(await openSockets()).toBe(before + readers.length);
  Bun.gc(true);
  const rss = process.memoryUsage.rss();
  const ids: string[] = [];
  // The kernel takes some megabytes before anything waits in the server; 60 MB a reader are far more.
  for (let round = 0; round < 20 && (await openSockets()) > before; round += 1) ids.push(...(await produce(ada, watcher, 50)));
  expect(await openSockets()).toBe(before);
  Bun.gc(true);
  expect((process.memoryUsage.rss() - rss) / MIB).toBeLessThan(400);

  // What the kernels had taken can still be read; then the connection is over, without the end of the story.
  const [reader] = readers as [RawSocket];
  reader.resume();
  const frames = await reader.rest();
  for (const other of readers) other.destroy();
  const heard = messagesOf(frames);
  const transitions = transitionsOf(heard.filter(isNotice));
  const seen = new Set(transitions.filter(({ status }) => status === "done").map(({ task_id }) => task_id));
  expect(seen.size).toBeLessThan(ids.length);
  const close = frames.find(({ opcode }) => opcode === 8);
  if (close) expect(close.payload.readUInt16BE(0)).toBe(1013);

  const last = transitions.at(-1)?.seq ?? Number(heard[0]?.["seq"]);
  const again = await ada.socket(`?since=${last}&epoch=${watcher.ready.epoch}`);
  await again.type("caught_up");
  for (const { task_id, status } of again.notices) if (status === "done") seen.add(task_id);
  expect(ids.filter((id) => !seen.has(id))).toEqual([]);
}, 60_000);

test("a slow reader that catches up is waited for and not cut off, however much there is", async () => {
  const ada = await server.user();
  const watcher = await ada.socket();
  const start = watcher.ready.seq;
  const ids: string[] = [];
  for (let i = 0; i < 5; i += 1) ids.push(...(await produce(ada, watcher, 100)));
  const reader = await RawSocket.open(server.port, `${PATH}?since=${start}`, ada.headers);
  reader.pause();
  // The server has had its turns, and meanwhile more happens.
  for (let i = 0; i < 3; i += 1) ids.push(...(await produce(ada, watcher, 10)));
  expect(await openSockets()).toBeGreaterThanOrEqual(2);
  reader.resume();
  const messages: Message[] = [];
  for (let frames = 0; frames < 10_000 && messages.at(-1)?.type !== "caught_up"; frames += 1) {
    // A stop after each frame: the server is always ahead.
    reader.pause();
    const next = reader.frame();
    reader.resume();
    const frame = await next;
    if (!frame) throw new Error(`cut off after ${messages.length} messages`);
    messages.push(...messagesOf([frame]));
  }
  reader.destroy();
  const transitions = transitionsOf(messages.filter(isNotice));
  const done = new Map(
    transitions.filter(({ status }) => status === "done").map((notice): [string, Notice] => [notice.task_id, notice]),
  );
  expect(ids.filter((id) => !done.has(id))).toEqual([]);
  for (const { result } of done.values()) expect(String(result).length).toBe(LARGE - 2);
}, 60_000);

test("a client that sends faster than it is answered is closed, not kept in memory", async () => {
  const ada = await server.user();
  const raw = await RawSocket.open(server.port, PATH, ada.headers);
  // While a token that is not known yet is being checked, the others wait; a hundred may.
  const auth = JSON.stringify({ type: "auth", token: await server.token(ada.email) });
  raw.burst([auth, ...new Array<string>(200).fill("ping")]);
  const frames = await raw.rest();
  expect(frames.at(-1)?.payload.readUInt16BE(0)).toBe(1008);
  expect(messagesOf(frames).map(({ type }) => type)).toEqual(["ready"]);
  const waiting = await RawSocket.open(server.port, PATH, ada.headers);
  waiting.burst([JSON.stringify({ type: "auth", token: await server.token(ada.email) }), ...new Array<string>(100).fill("ping")]);
  for (const type of ["ready", "authenticated", ...new Array<string>(100).fill("pong")]) {
    expect(JSON.parse(String((await waiting.frame())?.payload))).toMatchObject({ type });
  }
  waiting.destroy();
  const quick = await ada.socket();
  for (let i = 0; i < 5_000; i += 1) quick.send("ping");
  await quick.until(() => quick.messages.length === 5_001, "all answers");
});
