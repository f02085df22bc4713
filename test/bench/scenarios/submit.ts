import type { Bench, Figure, Scenario } from "../bench.ts";
import { httpRequest, load } from "../load.ts";
import { INPUT, Rival, rival } from "../server.ts";

/** What arrives together is committed together, so it counts how much that is. */
const CONNECTIONS = [32, 256];
const RAW = "raw Bun.serve, JSON POST";
/** Node is where Fastify is at home; where there is none, Bun runs it too. */
const NODE = Bun.which("node");

export const submit: Scenario = {
  about: "POST /tasks/NAME (token, schema, durable row) beside a bare Bun.serve, and beside Fastify with BullMQ",
  async run(bench) {
    const figures: Figure[] = [];
    const measure = async (what: string, port: number, path: string, token: string): Promise<void> => {
      const request = httpRequest("POST", path, token, INPUT);
      for (const connections of CONNECTIONS) {
        const named = (each: string): string => `${each}, ${connections} connections`;
        const { perSecond, p99 } = await load({ port, connections, seconds: bench.seconds(3), request });
        const beside = (figure: string): { of?: string } => (what === RAW ? {} : { of: named(RAW) + figure });
        figures.push({ name: named(what), value: perSecond, unit: "/s", ...beside("") });
        figures.push({ name: `${named(what)}, p99`, value: p99, unit: " ms", ...beside(", p99") });
      }
    };
    {
      await using raw = await Rival.start(rival("raw-http.ts"));
      await measure(RAW, raw.port, "/", "none");
    }
    for (const broker of bench.brokers) {
      await using artel = await bench.artel(["--threads", "0"], { broker });
      await measure(`POST /tasks/noop, ${broker}`, artel.port, "/tasks/noop", artel.user.token);
    }
    await fastify(bench, (name, port) => measure(name, port, "/tasks/noop", "any"));
    return figures;
  },
};

async function fastify({ redis }: Bench, measure: (name: string, port: number) => Promise<void>): Promise<void> {
  if (!redis) return;
  const [program, ...file] = rival("fastify-bullmq.mjs", redis.url);
  await using rivals = await Rival.start([NODE ?? program ?? "", ...file]);
  await measure(`Fastify with BullMQ, on ${NODE ? "Node" : "Bun"}`, rivals.port);
}
