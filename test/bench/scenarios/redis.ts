import type { Figure, Scenario } from "../bench.ts";

const CONNECTIONS = 32;
const FIRST = "redis-benchmark LPUSH, one at a time";

export const redis: Scenario = {
  about: "what redis-server itself does in a second, by its own redis-benchmark: the limit of all that goes through it",
  needs: ["redis", "redis-benchmark"],
  async run(bench) {
    const port = bench.redis?.port ?? 0;
    const count = bench.count(300_000, 1_000);
    const script = "return redis.call('rpush', KEYS[1], ARGV[1])";
    const runs: [name: string, args: string[]][] = [
      [FIRST, ["-t", "lpush"]],
      ["redis-benchmark LPUSH, 32 in a pipeline", ["-t", "lpush", "-P", "32"]],
      ["redis-benchmark script with one RPUSH", ["eval", script, "1", "bench-list", "value"]],
    ];
    const figures: Figure[] = [];
    for (const [name, args] of runs) {
      const value = await perSecondOf(["-p", `${port}`, "-c", `${CONNECTIONS}`, "-n", `${count}`, "--csv", ...args]);
      figures.push({ name, value, unit: "/s", ...(name === FIRST ? {} : { of: FIRST }) });
    }
    await bench.redis?.command("FLUSHALL");
    return figures;
  },
};

/** The last line of its table: the test's name, then how many a second. */
async function perSecondOf(args: readonly string[]): Promise<number> {
  const child = Bun.spawn(["redis-benchmark", ...args], { stdio: ["ignore", "pipe", "ignore"] });
  const lines = (await child.stdout.text()).trim().split("\n");
  if ((await child.exited) !== 0) throw new Error("redis-benchmark failed");
  return Number(/","([\d.]+)"/.exec(lines.at(-1) ?? "")?.[1]);
}
