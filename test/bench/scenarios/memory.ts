import { readFileSync } from "node:fs";
import { residentOf } from "../../support/process-figures.ts";
import type { Bench, Figure, Scenario } from "../bench.ts";
import { Rival, rival } from "../server.ts";

const MIB = 2 ** 20;
/** So long a process comes to rest, in seconds. */
const REST_SECONDS = 3;
/** So long memory that is not used any more goes back, in seconds. */
const RETURN_SECONDS = 15;
const IDLE = "idle memory, 2 threads";

export const memory: Scenario = {
  about: "resident memory: idle with 0 to 4 threads, each more thread's, at the height of a load and after it",
  needs: ["proc"],
  async run(bench) {
    const idle = new Map<number, number>();
    for (const threads of [0, 1, 2, 4]) idle.set(threads, await idleWith(bench, threads));
    const of = (threads: number): number => idle.get(threads) ?? Number.NaN;
    await using raw = await Rival.start(rival("raw-http.ts"));
    await Bun.sleep(bench.seconds(1) * 1_000);
    const figures: Figure[] = [
      { name: IDLE, value: of(2) / MIB, unit: " MiB" },
      { name: "idle memory, the API alone", value: of(0) / MIB, unit: " MiB", of: IDLE },
      { name: "each more thread, idle", value: (of(4) - of(1)) / 3 / MIB, unit: " MiB", of: IDLE },
      { name: "a bare Bun.serve, idle", value: residentOf(raw.pid) / MIB, unit: " MiB", of: IDLE },
    ];
    return [...figures, ...(await loaded(bench))];
  },
};

async function idleWith(bench: Bench, threads: number): Promise<number> {
  await using artel = await bench.artel(["--threads", `${threads}`], { bare: true });
  await Bun.sleep(bench.seconds(REST_SECONDS) * 1_000);
  return residentOf(artel.pid);
}

async function loaded(bench: Bench): Promise<Figure[]> {
  const count = bench.count(100_000, 100);
  await using artel = await bench.artel(["--threads", "2"]);
  await artel.user.submit("noop", count);
  await artel.untilDone(count);
  const peak = 1_024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${artel.pid}/status`, "utf8"))?.[1]);
  await Bun.sleep(bench.seconds(RETURN_SECONDS) * 1_000);
  return [
    { name: "memory at its height in no-op tasks, 2 threads", value: peak / MIB, unit: " MiB", of: IDLE },
    { name: `memory ${RETURN_SECONDS} s after them`, value: residentOf(artel.pid) / MIB, unit: " MiB", of: IDLE },
  ];
}
