import { readFileSync } from "node:fs";
import { join } from "node:path";
import { load } from "./load.ts";
import { type BenchServer, INPUT, startRaw } from "./server.ts";

/** One figure of one round. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

/** Measures once; the runner alternates and takes medians. */
export type Scenario = (artel: Start, redis: string | undefined) => Promise<readonly Figure[]>;

/** Starts a server under measurement, on the run's broker. */
export type Start = (flags: readonly string[], user?: boolean) => Promise<BenchServer>;

const CONNECTIONS = 32;
const SECONDS = 3;
const NOOP_TASKS = 60_000;
const BATCH = 1_000;
const LATENCY_TASKS = 500;

function httpPost(path: string, token: string, body: unknown): string {
  const text = JSON.stringify(body);
  return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}

async function posts(port: number, request: string): Promise<number> {
  const { perSecond, errors } = await load({ port, connections: CONNECTIONS, seconds: SECONDS, request });
  if (errors > 0) throw new Error(`${errors} answers were no success`);
  return perSecond;
}

/** POST /tasks/{name}, authenticated, validated, durable, against a Bun.serve that does nothing. */
const submit: Scenario = async (startArtel) => {
  using raw = await startRaw();
  const limit = await posts(raw.port, httpPost("/", "none", INPUT));
  await using artel = await startArtel(["--threads", "0"]);
  const value = await posts(artel.port, httpPost("/tasks/noop", artel.token, INPUT));
  return [
    { name: "raw Bun.serve JSON POST", value: limit, unit: "/s" },
    { name: "POST /tasks/noop", value, unit: "/s" },
    { name: "share of raw", value: value / limit, unit: "" },
  ];
};

async function ended(artel: BenchServer): Promise<number> {
  const text = await (await artel.get("/metrics")).text();
  return Number(/artel_tasks_ended_total\{status="done"\} (\d+)/.exec(text)?.[1] ?? 0);
}

/** Batches of 1,000, from the first submit to the last recorded outcome. */
const noop: Scenario = async (startArtel) => {
  await using artel = await startArtel(["--threads", "2"]);
  const batch = Array.from({ length: BATCH }, () => INPUT);
  const round = async (tasks: number): Promise<{ submitMs: number; totalMs: number }> => {
    const before = await ended(artel);
    const begun = performance.now();
    for (let i = 0; i < tasks / BATCH; i += 1) {
      const response = await artel.post("/tasks/noop/batch", batch);
      if (response.status !== 202) throw new Error(`batch: ${response.status}`);
      await response.arrayBuffer();
    }
    const submitMs = performance.now() - begun;
    while ((await ended(artel)) < before + tasks) await Bun.sleep(100);
    return { submitMs, totalMs: performance.now() - begun };
  };
  await round(NOOP_TASKS / 4);
  const { submitMs, totalMs } = await round(NOOP_TASKS);
  return [
    { name: "batch submit", value: (NOOP_TASKS / submitMs) * 1_000, unit: "/s" },
    { name: "no-op, batch submit to recorded outcome", value: (NOOP_TASKS / totalMs) * 1_000, unit: "/s" },
  ];
};

/** What one lane of the broker takes whole. */
const LIST_TASKS = 24_000;

/**
 * No-op tasks that lie in Redis, from the first claim to the last recorded outcome, beside BullMQ's jobs from the first to the last
 * completed: a full list each, the worker awake and warm.
 */
const lists: Scenario = async (startArtel, redis) => {
  if (redis === undefined) throw new Error("the scenario lists needs --redis");
  const figures: Figure[] = [];
  {
    await using artel = await startArtel(["--threads", "0"]);
    const worker = artel.work(2);
    const batch = Array.from({ length: BATCH }, () => INPUT);
    const round = async (tasks: number): Promise<number> => {
      const before = await ended(artel);
      worker.kill("SIGSTOP");
      for (let i = 0; i < tasks / BATCH; i += 1) await (await artel.post("/tasks/noop/batch", batch)).arrayBuffer();
      const begun = performance.now();
      worker.kill("SIGCONT");
      while ((await ended(artel)) < before + tasks) await Bun.sleep(20);
      return performance.now() - begun;
    };
    await round(LIST_TASKS / 2);
    const value = (LIST_TASKS / (await round(LIST_TASKS))) * 1_000;
    figures.push({ name: "no-op, from list to recorded outcome", value, unit: "/s" });
  }
  for (const client of ["ioredis", "bun"]) {
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "bullmq.ts"), redis, client, `${LIST_TASKS}`], {
      stdout: "pipe",
      stderr: "inherit",
    });
    const value = Number(await child.stdout.text());
    figures.push({ name: `BullMQ no-op, client ${client}`, value, unit: "/s" });
  }
  return figures;
};

/** POST to `done` heard on the socket, one task at a time. */
const latency: Scenario = async (startArtel) => {
  await using artel = await startArtel(["--threads", "2"]);
  const socket = new WebSocket(`ws://127.0.0.1:${artel.port}/ws/notifications`, {
    headers: { authorization: `Bearer ${artel.token}` },
  });
  let heard: ((at: number) => void) | undefined;
  socket.onmessage = ({ data }) => {
    if (String(data).includes('"status":"done"')) heard?.(performance.now());
  };
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  const one = async (): Promise<number> => {
    const begun = performance.now();
    const done = new Promise<number>((resolve) => {
      heard = resolve;
    });
    await (await artel.post("/tasks/noop", INPUT)).arrayBuffer();
    return (await done) - begun;
  };
  for (let i = 0; i < LATENCY_TASKS / 2; i += 1) await one();
  const times: number[] = [];
  for (let i = 0; i < LATENCY_TASKS; i += 1) times.push(await one());
  times.sort((a, b) => a - b);
  socket.close();
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? Number.NaN;
  return [
    { name: "POST to done heard, p50", value: at(0.5), unit: " ms" },
    { name: "POST to done heard, p99", value: at(0.99), unit: " ms" },
  ];
};

/** From the call to the first 200, without task files; and memory a while later. */
const start: Scenario = async (startArtel) => {
  await using artel = await startArtel(["--threads", "2"], false);
  await Bun.sleep(3_000);
  const status = readFileSync(`/proc/${artel.pid}/status`, "utf8");
  const kib = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]);
  return [
    { name: "start to first 200", value: artel.startMs, unit: " ms" },
    { name: "idle memory, 2 threads", value: kib / 1_024, unit: " MiB" },
  ];
};

export const SCENARIOS: Readonly<Record<string, Scenario>> = { submit, noop, latency, start, lists };
