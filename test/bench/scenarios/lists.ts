import { type Figure, perSecond, type Scenario } from "../bench.ts";
import { measured, rival } from "../server.ts";

/** What one lane of the broker takes whole. */
const LIST_TASKS = 24_000;
/** Rounds before the one that counts; BullMQ has as many. */
const WARM_UPS = 2;
const OWN = "no-op, from list to recorded outcome";

export const lists: Scenario = {
  about: "no-op tasks that lie in Redis, from the first claim to the last recorded outcome, beside BullMQ's jobs",
  needs: ["redis"],
  async run(bench) {
    const count = bench.count(LIST_TASKS, 100);
    const figures: Figure[] = [];
    {
      await using artel = await bench.artel(["--threads", "0"], { broker: "redis" });
      const worker = artel.work(2);
      const round = async (tasks: number): Promise<number> => {
        const before = await artel.done();
        worker.kill("SIGSTOP");
        await artel.user.submit("noop", tasks);
        const begun = performance.now();
        worker.kill("SIGCONT");
        await artel.untilDone(before + tasks);
        return performance.now() - begun;
      };
      for (let i = 0; i < WARM_UPS; i += 1) await round(count);
      figures.push({ name: OWN, value: perSecond(count, await round(count)), unit: "/s" });
    }
    for (const client of ["ioredis", "bun"]) {
      const value = await measured<number>(rival("bullmq.ts", bench.redis?.url ?? "", client, `${count}`));
      figures.push({ name: `BullMQ no-op, client ${client}`, value, unit: "/s", of: OWN });
    }
    return figures;
  },
};
