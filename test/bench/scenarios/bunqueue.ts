import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { perSecond, type Scenario } from "../bench.ts";
import { measured, rival } from "../server.ts";

export const bunqueue: Scenario = {
  about: "batches and no-op tasks on the embedded broker, beside bunqueue inside of one process with durable jobs",
  async run(bench) {
    const count = bench.count(20_000, 100);
    const folder = mkdtempSync(join(tmpdir(), "artel-bunqueue-"));
    try {
      const other = await measured<{ added: number; done: number }>(rival("bunqueue.ts", join(folder, "queue.db"), `${count}`));
      await using artel = await bench.artel(["--threads", "1"], { broker: "embedded" });
      await artel.user.submit("noop", Math.ceil(count / 4));
      await artel.untilDone(Math.ceil(count / 4));
      const begun = performance.now();
      await artel.user.submit("noop", count);
      const submitMs = performance.now() - begun;
      await artel.untilDone(Math.ceil(count / 4) + count);
      const totalMs = performance.now() - begun;
      const both = 1 / (1 / other.added + 1 / other.done);
      return [
        { name: "batches over HTTP, 1 thread at work", value: perSecond(count, submitMs), unit: "/s" },
        { name: "bunqueue addBulk, durable", value: other.added, unit: "/s", of: "batches over HTTP, 1 thread at work" },
        { name: "no-op, batch submit to outcome, 1 thread", value: perSecond(count, totalMs), unit: "/s" },
        { name: "bunqueue, add then run", value: both, unit: "/s", of: "no-op, batch submit to outcome, 1 thread" },
      ];
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
