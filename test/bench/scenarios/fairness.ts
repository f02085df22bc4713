import { quantile, type Scenario } from "../bench.ts";
import { times } from "./latency.ts";

const BACKLOG = 100_000;
/** Each of the backlog waits so long, as for a service that it asks: the backlog outlasts the measuring, in milliseconds. */
const PAUSE_MS = 5;
const TASKS = 200;

export const fairness: Scenario = {
  about: "one user's single tasks, POST to done heard, while another one has 100,000 queued, beside an idle server",
  async run(bench) {
    await using artel = await bench.artel(["--threads", "2"]);
    const other = await artel.join("other@example.com");
    const count = bench.count(TASKS, 10);
    await times(artel.url, other, count);
    const idle = await times(artel.url, other, count);
    await artel.user.submit("pause", bench.count(BACKLOG, 1_000), { ms: PAUSE_MS });
    const loaded = await times(artel.url, other, count);
    return [
      { name: "a single task, idle server, p50", value: quantile(idle, 0.5), unit: " ms" },
      { name: "a single task, idle server, p99", value: quantile(idle, 0.99), unit: " ms" },
      {
        name: "behind another's backlog, p50",
        value: quantile(loaded, 0.5),
        unit: " ms",
        of: "a single task, idle server, p50",
      },
      {
        name: "behind another's backlog, p99",
        value: quantile(loaded, 0.99),
        unit: " ms",
        of: "a single task, idle server, p99",
      },
    ];
  },
};
