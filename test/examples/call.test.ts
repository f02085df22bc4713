import { expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { View } from "../support/e2e-view.ts";
import { LIMIT_MS } from "../support/waiting.ts";
import { placeWithExamples, runHeader, serveExamples } from "./examples.ts";

setDefaultTimeout(LIMIT_MS);

interface Asked {
  readonly path: string;
  readonly key: string;
  readonly body: unknown;
  readonly at: number;
}

/** A service that is busy two times of three, takes what it takes once for each key, and refuses what it does not know. */
class FlakyService implements AsyncDisposable {
  readonly asked: Asked[] = [];
  /** What it has taken, by key. */
  readonly taken = new Map<string, unknown>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  async start(): Promise<string> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  times(path: string): number[] {
    return this.asked.filter((each) => each.path === path).map(({ at }) => at);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "";
    const key = String(request.headers["idempotency-key"]);
    const body: unknown = await json(request);
    this.asked.push({ path, key, body, at: performance.now() });
    const count = this.times(path).length;
    if (path === "/wrong") return void response.writeHead(400, { "retry-after": "1" }).end("no such item");
    if (path === "/broken" && count === 1) return void response.writeHead(500).end();
    if (path === "/orders" && count < 3) {
      const soon = count === 1 ? "1" : new Date().toUTCString();
      return void response.writeHead(503, { "retry-after": soon }).end("busy");
    }
    const isNew = !this.taken.has(key);
    this.taken.set(key, body);
    // The first answer is lost on its way: the sender cannot know that its message was taken.
    if (path === "/lossy" && isNew) return void request.socket.destroy();
    response.end(`number ${this.taken.size}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }
}

test("call: a busy service is asked again when it says so, with the same key; a refusal is final", async () => {
  await using place = await placeWithExamples();
  await using service = new FlakyService();
  const url = await service.start();
  const { ada } = await serveExamples(place);

  const { code, stdout } = await runHeader(place, "call", ada, `${url}/orders`);
  expect(code).toBe(0);
  const order = JSON.parse(stdout) as { task_id: string };
  expect(order).toMatchObject({ status: "done", attempt: 3, result: { status: 200, text: "number 1" } });
  expect(service.asked).toMatchObject([1, 2, 3].map(() => ({ key: order.task_id, body: { item: 7 } })));
  const [first = 0, second = 0] = service.times("/orders");
  expect(second - first).toBeGreaterThanOrEqual(1_000);
  const logs = await ada.call("GET", `/tasks/${order.task_id}/logs`);
  expect(logs.body).toMatchObject({
    items: [1, 2].map((attempt) => ({ level: "warn", message: `attempt ${attempt} was answered 503 busy` })),
  });

  const view = await View.open(ada);
  const inputs = ["wrong", "broken", "lossy"].map((path) => ({ url: `${url}/${path}`, body: path }));
  const [wrong = "", broken = "", lossy = ""] = await ada.submitAll("call", inputs);
  await view.ended([wrong, broken, lossy]);
  expect(view.tasks.get(wrong)).toMatchObject({
    status: "failed",
    attempt: 1,
    error: { code: "refused", message: "the service refused the message with 400" },
  });
  expect(service.times("/wrong")).toHaveLength(1);
  expect(view.tasks.get(broken)).toMatchObject({ status: "done", attempt: 2 });
  // Taken once, though it was sent twice.
  expect(view.tasks.get(lossy)).toMatchObject({ status: "done", attempt: 2 });
  expect(service.times("/lossy")).toHaveLength(2);
  expect([...service.taken.values()].filter((body) => body === "lossy")).toHaveLength(1);
  view.close();
});
