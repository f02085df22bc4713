import { seedTasks } from "../../support/seeded-tasks.ts";
import { type Bench, type Figure, perSecond, type Scenario } from "../bench.ts";
import { httpRequest, load } from "../load.ts";
import { INPUT } from "../server.ts";

const SIZES = [1_000, 100_000, 1_000_000];
const CONNECTIONS = 32;
/** They wait for good: no file defines them. */
const PARKED = "parked";
const TASKS = 30_000;

export const backlog: Scenario = {
  about: "submitting and running no-op tasks while 1,000, 100,000 or 1,000,000 others of the same user wait",
  async run(bench) {
    const figures: Figure[] = [];
    for (const size of SIZES) figures.push(...(await behind(bench, size)));
    return figures;
  },
};

async function behind(bench: Bench, size: number): Promise<Figure[]> {
  const count = bench.count(size, 200);
  const named = (what: string, of = size): string => `${what}, ${of.toLocaleString("en")} waiting`;
  const figure = (what: string, value: number, unit: string): Figure => ({
    name: named(what),
    value,
    unit,
    ...(size === SIZES[0] ? {} : { of: named(what, SIZES[0]) }),
  });
  await using artel = await bench.artel(["--threads", "0"]);
  await artel.restart(["--threads", "2"], (db) =>
    seedTasks(db, { count, owner: 1, names: [PARKED], statuses: ["queued"], upTo: Date.now() }),
  );
  const { startMs } = artel;
  const tasks = bench.count(TASKS, 200);
  await artel.user.submit("noop", tasks);
  await artel.untilDone(tasks);
  const begun = performance.now();
  await artel.user.submit("noop", tasks);
  await artel.untilDone(2 * tasks);
  const runs = perSecond(tasks, performance.now() - begun);
  // What is posted now waits as well, by the end some 100,000 in each case.
  await artel.restart(["--threads", "0"]);
  const request = httpRequest("POST", "/tasks/noop", artel.user.token, INPUT);
  const posts = await load({ port: artel.port, connections: CONNECTIONS, seconds: bench.seconds(2), request });
  return [
    figure("POST", posts.perSecond, "/s"),
    figure("POST p99", posts.p99, " ms"),
    figure("no-op tasks", runs, "/s"),
    figure("start", startMs, " ms"),
  ];
}
