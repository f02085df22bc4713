import { perSecond, type Scenario } from "../bench.ts";
import { measured, rival } from "../server.ts";

interface Inserts {
  readonly tasksBatch: number;
  readonly tasksTurn: number;
  readonly bareBatch: number;
}

const RAW = "raw bun:sqlite, rows of tasks, 1,000 a commit";

export const batch: Scenario = {
  about: "POST /tasks/NAME/batch of 1,000, beside the same rows put into SQLite and nothing else",
  async run(bench) {
    const count = bench.count(100_000, 1_000);
    const raw = await measured<Inserts>(rival("raw-insert.ts", `${count}`));
    const figures = [
      { name: RAW, value: raw.tasksBatch, unit: "/s" },
      { name: "raw bun:sqlite, rows of tasks, 32 a commit", value: raw.tasksTurn, unit: "/s", of: RAW },
      { name: "raw bun:sqlite, rows of two columns", value: raw.bareBatch, unit: "/s", of: RAW },
    ];
    for (const broker of bench.brokers) {
      await using artel = await bench.artel(["--threads", "0"], { broker });
      await artel.user.submit("noop", Math.ceil(count / 4));
      const begun = performance.now();
      await artel.user.submit("noop", count);
      const value = perSecond(count, performance.now() - begun);
      figures.push({ name: `batches of 1,000, ${broker}`, value, unit: "/s", of: RAW });
    }
    return figures;
  },
};
