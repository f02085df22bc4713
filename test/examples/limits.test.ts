import { expect, setDefaultTimeout, test } from "bun:test";
import { Client, expectStatus } from "../support/e2e-client.ts";
import { View } from "../support/e2e-view.ts";
import { LIMIT_MS, within } from "../support/waiting.ts";
import { placeWithExamples, runHeader, serveExamples } from "./examples.ts";

setDefaultTimeout(LIMIT_MS);

/** A service that counts how many ask it at the same time. It answers once it is asked on behalf of so many users. */
class LimitedService implements AsyncDisposable {
  /** The most at the same time, by user. */
  readonly most = new Map<string, number>();
  /** The most of all users together. */
  mostOfAll = 0;
  readonly allThere = Promise.withResolvers<void>();
  readonly #running = new Map<string, number>();
  readonly #users: number;
  readonly #server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: (request) => this.#answer(request) });

  constructor(users: number) {
    this.#users = users;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  async #answer(request: Request): Promise<Response> {
    const [, user = ""] = new URL(request.url).pathname.split("/");
    this.#count(user, 1);
    if (this.most.size === this.#users) this.allThere.resolve();
    await this.allThere.promise;
    this.#count(user, -1);
    return new Response("hello");
  }

  #count(user: string, by: 1 | -1): void {
    const running = (this.#running.get(user) ?? 0) + by;
    this.#running.set(user, running);
    this.most.set(user, Math.max(this.most.get(user) ?? 0, running));
    this.mostOfAll = Math.max(
      this.mostOfAll,
      [...this.#running.values()].reduce((sum, n) => sum + n, 0),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}

test("limits: one of each user and four in all, no faster than is allowed, and the same one for the same input", async () => {
  await using place = await placeWithExamples();
  await using service = new LimitedService(4);
  const { url, ada } = await serveExamples(place, ["--threads", "2"]);
  const names = ["ben", "cleo", "dan", "eve"];
  const clients = [ada, ...(await Promise.all(names.map((name) => Client.register(url, name))))];
  const views = await Promise.all(clients.map((client) => View.open(client)));
  const submit = (client: Client) =>
    client.submitAll(
      "limits",
      [1, 2, 3].map((n) => ({ url: `${service.url}/${client.id}/${n}` })),
    );
  const began = performance.now();
  const first = await submit(ada);
  // Others of hers go past those that wait for the first one, which is held at the service.
  const crawls = [{ pages: [], pages_total: 0, links_total: 0 }];
  await views[0]?.ended(await ada.submitAll("sum", [{ crawls }, { crawls }, { crawls }]));
  const ids = [first, ...(await Promise.all(clients.slice(1).map(submit)))];
  await within(service.allThere.promise, "four users' requests");
  await Promise.all(views.map((view, index) => view.ended(ids[index] ?? [])));
  expect([...service.most.values()]).toEqual([1, 1, 1, 1, 1]);
  expect(service.mostOfAll).toBe(4);
  // Four begin at once, each of the eleven others a tenth of a second after the one before, or later.
  expect(performance.now() - began).toBeGreaterThanOrEqual(1_100);
  const results = views.flatMap((view, index) => (ids[index] ?? []).map((id) => view.tasks.get(id)?.result));
  expect(results).toEqual(Array.from({ length: 15 }, () => ({ status: 200, type: "text/plain;charset=utf-8", bytes: 5 })));

  expect(JSON.parse((await runHeader(place, "limits", ada, service.url)).stdout)).toMatchObject({ result: { bytes: 5 } });
  for (const view of views) view.close();
});

test("limits: the same input, while the first one waits, is the first one", async () => {
  await using place = await placeWithExamples();
  const { ada } = await serveExamples(place);
  expect(await place.run(["user", "promote", ada.email])).toMatchObject({ code: 0 });
  const later = "?delay=1h";
  const same = { url: "http://127.0.0.1:1/" };
  const first = await ada.submit("limits", same, later);
  expect(await ada.submit("limits", same, later)).toBe(first);
  expect(await ada.submit("limits", { url: "http://127.0.0.1:1/other" }, later)).not.toBe(first);
  const known = expectStatus(200, await ada.call("GET", "/tasks/definitions")) as { name: string }[];
  expect(known.find(({ name }) => name === "limits")).toMatchObject({
    queue: "outside",
    concurrency: 4,
    per_user: 1,
    starts_per_second: 10,
  });
});
