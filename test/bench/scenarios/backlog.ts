import { seedTasks } from "../../support/seeded-tasks.ts";
import { type Bench, type Figure, perSecond, type Scenario } from "../bench.ts";
import { httpRequest, load } from "../load.ts";
import { INPUT } from "../server.ts";

const SIZES = [1_000, 100_000, 1_000_000];
const CONNECTIONS = 32;
/** As many of the backlog are worked off, where there are so many. */
const WORKED_OFF = 30_000;

export const backlog: Scenario = {
  about: "submitting and running no-op tasks while 1,000, 100,000 or 1,000,000 others wait",
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
  await artel.restart(["--threads", "0"], (db) =>
    seedTasks(db, { count, owner: 1, names: ["noop"], statuses: ["queued"], upTo: Date.now() }),
  );
  const startMs = artel.startMs;
  const request = httpRequest("POST", "/tasks/noop", artel.user.token, INPUT);
  const posts = await load({ port: artel.port, connections: CONNECTIONS, seconds: bench.seconds(2), request });
  await artel.restart(["--threads", "2"]);
  const begun = performance.now();
  const some = Math.min(bench.count(WORKED_OFF, 200), count);
  await artel.untilDone(some);
  const runs = perSecond(await artel.done(), performance.now() - begun);
  return [
    figure("POST", posts.perSecond, "/s"),
    figure("POST p99", posts.p99, " ms"),
    figure("no-op tasks", runs, "/s"),
    figure("start", startMs, " ms"),
  ];
}
