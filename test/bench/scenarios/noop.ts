import { type Figure, perSecond, type Scenario } from "../bench.ts";

const THREADS = [1, 2];
const FIRST = "no-op tasks, embedded, 1 thread";

export const noop: Scenario = {
  about: "no-op tasks from batch submit to recorded outcome, on 1 and 2 threads, on both brokers",
  async run(bench) {
    const figures: Figure[] = [];
    const count = bench.count(60_000, 100);
    for (const broker of bench.brokers) {
      for (const threads of THREADS) {
        await using artel = await bench.artel(["--threads", `${threads}`], { broker });
        const round = async (tasks: number): Promise<number> => {
          const before = await artel.done();
          const begun = performance.now();
          await artel.user.submit("noop", tasks);
          await artel.untilDone(before + tasks);
          return performance.now() - begun;
        };
        await round(count);
        const name = `no-op tasks, ${broker}, ${threads} thread${threads > 1 ? "s" : ""}`;
        const value = perSecond(count, await round(count));
        figures.push({ name, value, unit: "/s", ...(name === FIRST ? {} : { of: FIRST }) });
      }
    }
    return figures;
  },
};
