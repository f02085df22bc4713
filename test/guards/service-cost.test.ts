import { describe, expect, test } from "bun:test";
import type { RedisSettings } from "../../src/compose-workers.ts";
import { expectWithin } from "../support/bounds.ts";
import { isNotice, type Message } from "../support/notices.ts";
import { RawSocket } from "../support/raw-socket.ts";
import { redisCost } from "../support/redis-meter.ts";
import { redisPath, sharedRedis } from "../support/redis-server.ts";
import { TestServer, type User } from "../support/server.ts";
import { SqlMeter } from "../support/sql-meter.ts";

/*
 * What 1,000 tasks cost in the whole service, with its threads: rows, notices and bytes are the same in every run. How many of
 * them share a transaction or a call depends on how busy the machine is; those bounds lie far above what was counted (10
 * transactions, 60 calls), and far below one a task.
 */

const TASKS = 1_000;
const SHARED = TASKS / 4;
const inputs = Array.from({ length: TASKS }, (_, i) => ({ i }));

interface Broker {
  readonly name: string;
  readonly settings: () => RedisSettings | undefined;
}

const redis = await sharedRedis();
let namespaces = 0;
const onRedis: Broker = {
  name: "Redis",
  settings() {
    namespaces += 1;
    return { url: redis.url, namespace: `guards-${namespaces}` };
  },
};
const embedded: Broker = { name: "embedded", settings: () => undefined };

/** A server that has done a task already, and one of its users. */
async function warm(broker: Broker): Promise<{ server: TestServer; user: User }> {
  const server = await TestServer.start({ threads: 1, redis: broker.settings() });
  const user = await server.user();
  await user.run("noop", {});
  return { server, user };
}

/** What one socket hears until so many tasks have ended: the server's own bytes, frames' heads included. */
class Ear {
  bytes = 0;
  readonly counts: Record<string, number> = {};
  readonly #socket: RawSocket;

  private constructor(socket: RawSocket) {
    this.#socket = socket;
  }

  static async open(server: TestServer, user: User): Promise<Ear> {
    const socket = await RawSocket.open(server.port, "/ws/notifications", user.headers);
    // The greeting.
    await socket.frame();
    return new Ear(socket);
  }

  async hear(ends: number): Promise<void> {
    while ((this.counts["done"] ?? 0) < ends) {
      const frame = await this.#socket.frame();
      if (!frame) throw new Error("the socket was closed");
      this.bytes += frame.payload.length + (frame.payload.length < 126 ? 2 : 4);
      const message = JSON.parse(frame.payload.toString()) as Message;
      const kind = isNotice(message) ? message.status : message.type;
      this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    }
    this.#socket.destroy();
  }
}

for (const broker of redisPath === undefined ? [embedded] : [embedded, onRedis]) {
  describe(`the service on ${broker.name}, for 1,000 tasks`, () => {
    test("a batch that is run: rows, transactions, notices, bytes on a socket", async () => {
      using meter = new SqlMeter();
      const { server, user } = await warm(broker);
      try {
        const ear = await Ear.open(server, user);
        meter.reset();
        await user.submitBatch("noop", inputs);
        await ear.hear(TASKS);
        const { BEGIN = 0, COMMIT = 0, "INSERT offsets": pages = 0, "SELECT tasks": reads = 0 } = meter.kinds;
        const { "INSERT offsets": _, ...rows } = meter.rows;
        expectWithin(rows, { "INSERT tasks": TASKS, "UPDATE tasks": 2 * TASKS, "INSERT meta": 2 });
        expect(reads).toBeLessThanOrEqual(4);
        expect(Math.max(BEGIN, COMMIT, pages)).toBeLessThan(SHARED);
        expectWithin(ear.counts, { queued: TASKS, "in progress": TASKS, done: TASKS });
        expect(ear.bytes).toBeLessThanOrEqual(788_500);
      } finally {
        await server.stop();
      }
    });

    test("100 tasks that report their progress 20 times: few notices, and no row for a report", async () => {
      using meter = new SqlMeter();
      const { server, user } = await warm(broker);
      try {
        const ear = await Ear.open(server, user);
        meter.reset();
        await user.submitBatch(
          "steps",
          inputs.slice(0, 100).map(() => ({ steps: 20, ms: 10_000 })),
        );
        await ear.hear(100);
        const { "UPDATE tasks": written = 0 } = meter.rows;
        // Of 20 reports each; one notice more tells the start.
        expectWithin(ear.counts, { queued: 100, "in progress": 1_000, done: 100 });
        expect(written).toBeLessThanOrEqual(400);
      } finally {
        await server.stop();
      }
    });
  });
}

describe.skipIf(redisPath === undefined)("the service on Redis", () => {
  test("a batch of 1,000 that is run shares its calls", async () => {
    const { server, user } = await warm(onRedis);
    try {
      const ear = await Ear.open(server, user);
      const cost = await redisCost(redis, async () => {
        await user.submitBatch("noop", inputs);
        await ear.hear(TASKS);
      });
      expect(cost.roundTrips).toBeGreaterThan(0);
      expect(cost.roundTrips).toBeLessThan(SHARED);
      expect(Math.max(...Object.values(cost.commands))).toBeLessThan(SHARED);
    } finally {
      await server.stop();
    }
  });
});

/** Of a 202: four heads, 68 bytes of JSON. */
const ANSWER_BYTES = 237;

describe("an answer", () => {
  test("to a submission takes so many bytes, its head included", async () => {
    const { server, user } = await warm(embedded);
    try {
      const bytes = await answerBytes(server.port, user, "/tasks/noop", '{"i":1}');
      // With `Connection: close`; the time is always as long.
      expect(bytes).toBeLessThanOrEqual(ANSWER_BYTES);
    } finally {
      await server.stop();
    }
  });
});

async function answerBytes(port: number, user: User, path: string, body: string): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  let bytes = 0;
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => {
        const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${user.token}\r\n`;
        socket.write(`${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      },
      data: (_, data) => {
        bytes += data.length;
      },
      close: () => resolve(bytes),
    },
  });
  return await promise;
}
