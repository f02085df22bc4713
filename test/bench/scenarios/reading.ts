import { seededId, seedTasks } from "../../support/seeded-tasks.ts";
import type { Bench, Figure, Scenario } from "../bench.ts";
import { httpRequest, load } from "../load.ts";

const SIZES = [1_000, 1_000_000];
const CONNECTIONS = 8;
/** Of ten tasks eight are done, one failed, one waits; one name in twenty is rare. */
const STATUSES = [...Array.from({ length: 8 }, () => "done" as const), "failed", "queued"] as const;
const NAMES = [...Array.from({ length: 19 }, () => "noop"), "pause"];

export const reading: Scenario = {
  about: "pages of a list (first, deep, by status, by name) and single tasks, with 1,000,000 tasks stored beside 1,000",
  async run(bench) {
    const figures: Figure[] = [];
    for (const size of SIZES) figures.push(...(await stored(bench, size)));
    return figures;
  },
};

async function stored(bench: Bench, size: number): Promise<Figure[]> {
  const count = bench.count(size, 400);
  let first = 0;
  await using artel = await bench.artel(["--threads", "0"]);
  await artel.restart(["--threads", "0"], (db) => {
    first = seedTasks(db, { count, owner: 1, names: NAMES, statuses: STATUSES, upTo: Date.now() });
  });
  const middle = Math.floor(count / 2);
  const paths = {
    "first page": "/tasks",
    "deep page": `/tasks?cursor=${Buffer.from(`n${first + middle}`).toString("base64url")}`,
    "page of failed": "/tasks?status=failed",
    "page of queued": "/tasks?status=queued",
    "page of a rare name": "/tasks?name=pause",
    "one task": `/tasks/${seededId(first + middle, middle)}`,
  };
  const figures: Figure[] = [];
  for (const [what, path] of Object.entries(paths)) {
    const request = httpRequest("GET", path, artel.user.token);
    const { perSecond } = await load({ port: artel.port, connections: CONNECTIONS, seconds: bench.seconds(1), request });
    const named = (of = size): string => `GET ${what}, ${of.toLocaleString("en")} stored`;
    figures.push({ name: named(), value: perSecond, unit: "/s", ...(size === SIZES[0] ? {} : { of: named(SIZES[0]) }) });
  }
  return figures;
}
