import { type Figure, perSecond, type Scenario } from "../bench.ts";
import { Sockets } from "../sockets.ts";

const REPORTS = 200;
const TASKS = 2_000;

export const progress: Scenario = {
  about: "tasks that report their progress 200 times each, with a socket that listens, beside such as report never",
  async run(bench) {
    const figures: Figure[] = [];
    const count = bench.count(TASKS, 20);
    for (const reports of [0, bench.count(REPORTS, 5)]) {
      await using artel = await bench.artel(["--threads", "2"]);
      const { port, user } = artel;
      const listen = (ends: number) => Sockets.open({ port, path: "/ws/notifications", token: user.token, sockets: 1, ends });
      const round = async (tasks: number): Promise<number> => {
        await using crowd = await listen(tasks);
        const begun = performance.now();
        await user.submit("progress", tasks, { reports });
        await crowd.heard();
        return performance.now() - begun;
      };
      await round(Math.ceil(count / 4));
      const elapsedMs = await round(count);
      const silent = "tasks that report nothing";
      if (reports === 0) figures.push({ name: silent, value: perSecond(count, elapsedMs), unit: "/s" });
      else {
        figures.push({ name: `tasks that report ${reports} times`, value: perSecond(count, elapsedMs), unit: "/s", of: silent });
        figures.push({ name: "reports", value: perSecond(count * reports, elapsedMs), unit: "/s" });
      }
    }
    return figures;
  },
};
