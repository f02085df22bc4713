import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { suiteServer, TestServer } from "../support/server.ts";

const { server, gates } = await suiteServer();
const ada = await server.user();

interface Sample {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABELS = `\\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\"n])*",?)*\\}`;
const SAMPLE = new RegExp(`^(${NAME})(${LABELS})? (-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?|NaN|[+-]Inf)(?: -?\\d+)?$`);

/** Reads the text by the grammar of the exposition format. @throws where a line is none */
async function scrape(from = server): Promise<Sample[]> {
  const response = await from.fetch("/metrics");
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await response.text();
  expect(text).toEndWith("\n");
  const typed = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    if (line === "" || new RegExp(`^# HELP ${NAME} `).test(line)) continue;
    const type = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram|summary|untyped)$`).exec(line);
    if (type) {
      expect(typed.has(type[1] ?? "")).toBe(false);
      typed.set(type[1] ?? "", type[2] ?? "");
      continue;
    }
    const sample = SAMPLE.exec(line);
    if (!sample) throw new Error(`no line of Prometheus text: ${line}`);
    const [, name = "", labels = "", value = ""] = sample;
    expect(typed.has(name) || typed.has(name.replace(/_(bucket|sum|count)$/, ""))).toBe(true);
    samples.push({ name, labels, value: Number(value) });
  }
  return samples;
}

const figure = (samples: readonly Sample[], name: string, label = ""): number =>
  samples.find((sample) => sample.name === name && sample.labels.includes(label))?.value ?? 0;

test("live", async () => {
  const response = await server.fetch("/health/live");
  expect([response.status, await response.json()]).toEqual([200, { status: "ok" }]);
  expect((await server.fetch("/health/live", { method: "HEAD" })).status).toBe(200);
});

describe("ready", () => {
  test("200 with each check", async () => {
    const response = await server.fetch("/health/ready");
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ status: "ok", checks: { database: { ok: true }, broker: { ok: true } } });
  });

  test("503 and which check, while outcomes cannot be stored; then ready again, and the task has ended", async () => {
    const ill = await TestServer.start();
    try {
      const user = await ill.user();
      const socket = await user.socket();
      await user.run("noop", {});
      const database = new Database(join(ill.dataDirectory, "artel.db"));
      database.run("ALTER TABLE offsets RENAME TO offsets_away");
      const id = await user.submit("noop", {});
      const waitFor = async (status: number): Promise<unknown> => {
        for (let tries = 0; tries < 500; tries += 1) {
          const response = await ill.fetch("/health/ready");
          const body = await response.json();
          if (response.status === status) return body;
          await Bun.sleep(10);
        }
        throw new Error(`never ${status}`);
      };
      expect(await waitFor(503)).toMatchObject({
        status: "unavailable",
        checks: { database: { ok: false }, broker: { ok: true } },
      });
      expect((await ill.fetch("/health/live")).status).toBe(200);
      expect((await user.task(id)).status).toBe("queued");
      database.run("ALTER TABLE offsets_away RENAME TO offsets");
      database.close();
      await waitFor(200);
      expect(await socket.ended(id)).toMatchObject({ status: "done" });
    } finally {
      await ill.stop();
    }
  });
});

describe("metrics", () => {
  test("Prometheus text", async () => {
    const samples = await scrape();
    expect(samples.find(({ name }) => name === "artel_info")).toEqual({
      name: "artel_info",
      labels: '{version="0.0.0-test"}',
      value: 1,
    });
    for (const name of ["process_cpu_seconds_total", "artel_tasks_accepted_total", "artel_tasks_pending", "artel_sockets"]) {
      expect(samples.some((sample) => sample.name === name)).toBe(true);
    }
  });

  test("counts what was accepted, what waits and runs, and how it ended", async () => {
    const before = await scrape();
    const socket = await ada.socket();
    const gate = gates.add();
    const running = await ada.submitBatch("hold", [{ gate: gate.url }, { gate: gate.url }]);
    for (const id of running) await socket.status(id, "in progress");
    const ended = [await ada.submit("noop", {}), await ada.submit("broken", { message: "x" })];
    const late = await ada.submit("noop", {}, "?delay=1h");
    for (const id of ended) await socket.ended(id);
    await ada.post(`/tasks/${late}/cancel`);
    await ada.submit("noop", {}, "?delay=1h");
    await ada.post("/tasks/noop", { i: "refused" });
    const after = await scrape();
    const grew = (name: string, label = "") => figure(after, name, label) - figure(before, name, label);
    expect({
      accepted: grew("artel_tasks_accepted_total"),
      done: grew("artel_tasks_ended_total", '"done"'),
      failed: grew("artel_tasks_ended_total", '"failed"'),
      cancelled: grew("artel_tasks_ended_total", '"cancelled"'),
      pending: grew("artel_tasks_pending"),
      inProgress: grew("artel_tasks_in_progress"),
      running: grew("artel_jobs_running"),
      sockets: grew("artel_sockets"),
    }).toEqual({ accepted: 6, done: 1, failed: 1, cancelled: 1, pending: 3, inProgress: 2, running: 2, sockets: 1 });
    gate.open();
    for (const id of running) await socket.ended(id);
    const last = await scrape();
    expect([figure(last, "artel_tasks_in_progress"), figure(last, "artel_tasks_ended_total", '"done"')]).toEqual([
      0,
      figure(after, "artel_tasks_ended_total", '"done"') + 2,
    ]);
  });
});
