import type { Bench, Figure, Scenario } from "../bench.ts";
import { httpRequest, load } from "../load.ts";
import { INPUT, Rival, rival } from "../server.ts";

const CONNECTIONS = 32;
const RAW = "raw Bun.serve, JSON POST";
/** Node is where Fastify is at home; where there is none, Bun runs it too. */
const NODE = Bun.which("node");

export const submit: Scenario = {
  about: "POST /tasks/NAME (token, schema, durable row) beside a bare Bun.serve, and beside Fastify with BullMQ",
  async run(bench) {
    const figures: Figure[] = [];
    const measure = async (name: string, port: number, path: string, token: string): Promise<void> => {
      const request = httpRequest("POST", path, token, INPUT);
      const { perSecond, p99 } = await load({ port, connections: CONNECTIONS, seconds: bench.seconds(3), request });
      figures.push({ name, value: perSecond, unit: "/s", ...(name === RAW ? {} : { of: RAW }) });
      figures.push({ name: `${name}, p99`, value: p99, unit: " ms", ...(name === RAW ? {} : { of: `${RAW}, p99` }) });
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
