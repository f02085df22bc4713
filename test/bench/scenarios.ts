import type { Scenario } from "./bench.ts";
import { backlog } from "./scenarios/backlog.ts";
import { batch } from "./scenarios/batch.ts";
import { bunqueue } from "./scenarios/bunqueue.ts";
import { fairness } from "./scenarios/fairness.ts";
import { fanout } from "./scenarios/fanout.ts";
import { latency } from "./scenarios/latency.ts";
import { lists } from "./scenarios/lists.ts";
import { memory } from "./scenarios/memory.ts";
import { noop } from "./scenarios/noop.ts";
import { progress } from "./scenarios/progress.ts";
import { reading } from "./scenarios/reading.ts";
import { redis } from "./scenarios/redis.ts";
import { sockets } from "./scenarios/sockets.ts";
import { start } from "./scenarios/start.ts";
import { submit } from "./scenarios/submit.ts";

/** Every scenario by its name, in the order in which they run. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  submit,
  batch,
  noop,
  lists,
  bunqueue,
  latency,
  fairness,
  progress,
  fanout,
  sockets,
  memory,
  start,
  backlog,
  reading,
  redis,
};
