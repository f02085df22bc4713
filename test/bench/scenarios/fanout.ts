import type { Bench, Figure, Scenario } from "../bench.ts";
import { perSecond } from "../bench.ts";
import { Rival, rival } from "../server.ts";
import { Sockets } from "../sockets.ts";
import { affordable } from "./sockets.ts";

const SIZES = [1_000, 10_000];
/** How many tasks' ends each is to hear where all follow one topic: so many as follow each other closely, and a few. */
const TASKS = [200, 20];
/** These occupy all slots until everybody listens. */
const GATES = 4;

export const fanout: Scenario = {
  about: "notices that sockets hear in a second, all of one topic or each of its own, beside Bun's bare pub/sub",
  needs: ["proc"],
  async run(bench) {
    const figures: Figure[] = [];
    for (const size of SIZES) {
      const count = affordable(bench.count(size, 20));
      const shown = count.toLocaleString("en");
      for (const tasks of TASKS) {
        const shared = `${shown} sockets on one topic, ${tasks} tasks`;
        const raw = `raw Bun pub/sub, ${shared}`;
        figures.push({ name: raw, value: await bare(count, tasks, false), unit: "/s" });
        figures.push({ name: shared, value: await noticesToAll(bench, count, tasks), unit: "/s", of: raw });
      }
      const own = `${shown} sockets on topics of their own`;
      figures.push({ name: `raw Bun pub/sub, ${own}`, value: await bare(count, 1, true), unit: "/s" });
      figures.push({ name: own, value: await noticesToEach(bench, count), unit: "/s", of: `raw Bun pub/sub, ${own}` });
    }
    return figures;
  },
};

async function bare(sockets: number, each: number, own: boolean): Promise<number> {
  await using raw = await Rival.start(rival("raw-pubsub.ts"));
  const first = own ? Array.from({ length: sockets }, (_, i) => [`topic-${i}`]) : [];
  await using crowd = await Sockets.open({ port: raw.port, path: "/", token: "none", sockets, first, ends: each });
  const begun = performance.now();
  await fetch(`http://127.0.0.1:${raw.port}/?topics=${own ? sockets : 0}&each=${each}`, { method: "POST" });
  return perSecond(await crowd.heard(), performance.now() - begun);
}

/** All follow the same user's tasks. */
async function noticesToAll(bench: Bench, sockets: number, tasks: number): Promise<number> {
  await using scene = await Gated.open(bench);
  await scene.user.submit("noop", tasks);
  return await scene.listen({ sockets, first: [], ends: tasks + GATES });
}

/** Each follows one task, and nothing else. */
async function noticesToEach(bench: Bench, sockets: number): Promise<number> {
  await using scene = await Gated.open(bench);
  const ids = await scene.user.submit("noop", sockets);
  const first = ids.map((id) => [
    JSON.stringify({ type: "unsubscribe", topic: "me" }),
    JSON.stringify({ type: "subscribe", topic: `task:${id}` }),
  ]);
  return await scene.listen({ sockets, first, ends: 1 });
}

/** A server whose tasks wait until a gate opens. */
class Gated implements AsyncDisposable {
  readonly #artel: Awaited<ReturnType<Bench["artel"]>>;
  readonly #gate: Bun.Server<undefined>;
  readonly #open: () => void;

  private constructor(artel: Awaited<ReturnType<Bench["artel"]>>, gate: Bun.Server<undefined>, open: () => void) {
    this.#artel = artel;
    this.#gate = gate;
    this.#open = open;
  }

  static async open(bench: Bench): Promise<Gated> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = Promise.withResolvers<void>();
    let asked = 0;
    const gate = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      async fetch() {
        asked += 1;
        if (asked === GATES) waiting.resolve();
        await promise;
        return new Response("go on");
      },
    });
    const artel = await bench.artel(["--threads", "1", "--slots", `${GATES}`]);
    await artel.user.submit("gate", GATES, { url: `http://127.0.0.1:${gate.port}` });
    await waiting.promise;
    return new Gated(artel, gate, resolve);
  }

  get user() {
    return this.#artel.user;
  }

  /** Opens the gate once all listen. @returns how many messages they hear in a second, until all have heard their last */
  async listen(what: { sockets: number; first: readonly (readonly string[])[]; ends: number }): Promise<number> {
    const { port, user } = this.#artel;
    await using crowd = await Sockets.open({ port, path: "/ws/notifications", token: user.token, ...what });
    const begun = performance.now();
    this.#open();
    return perSecond(await crowd.heard(), performance.now() - begun);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open();
    await this.#artel[Symbol.asyncDispose]();
    await this.#gate.stop(true);
  }
}
