import { fileLimits, residentOf } from "../../support/process-figures.ts";
import type { Figure, Scenario } from "../bench.ts";
import { Rival, rival } from "../server.ts";
import { Sockets } from "../sockets.ts";

const SIZES = [1_000, 10_000];
/** Files that a process needs for itself. */
const OWN_FILES = 200;

export const sockets: Scenario = {
  about: "what an idle socket takes of the server's memory, beside one of a bare Bun.serve",
  needs: ["proc"],
  async run(bench) {
    const figures: Figure[] = [];
    for (const size of SIZES) {
      const count = affordable(bench.count(size, 20));
      await using artel = await bench.artel(["--threads", "0"]);
      const own = await each(artel.pid, artel.port, "/ws/notifications", artel.user.token, count);
      await using raw = await Rival.start(rival("raw-pubsub.ts"));
      const bare = await each(raw.pid, raw.port, "/", "none", count);
      const name = `${count.toLocaleString("en")} idle sockets, each`;
      figures.push({ name: `raw Bun.serve, ${name}`, value: bare, unit: " B" });
      figures.push({ name, value: own, unit: " B", of: `raw Bun.serve, ${name}` });
    }
    return figures;
  },
};

/** No more sockets than this machine lets a process have. */
export const affordable = (count: number): number => Math.min(count, fileLimits("self")[1] - OWN_FILES);

/** By how much memory grows for each socket, once a few have been there before. */
async function each(pid: number, port: number, path: string, token: string, count: number): Promise<number> {
  const plan = { port, path, token, ends: 0 };
  await using _few = await Sockets.open({ ...plan, sockets: 10 });
  const before = residentOf(pid);
  await using _all = await Sockets.open({ ...plan, sockets: count });
  return (residentOf(pid) - before) / count;
}
