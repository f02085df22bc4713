import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Place } from "../support/artel-process.ts";
import { type Answer, Client } from "../support/e2e-client.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

async function place(): Promise<Place> {
  const made = await Place.make();
  made.write(TASKS);
  return made;
}

function expectQueueFull(answer: Answer): void {
  expect(answer).toMatchObject({ status: 429, body: { code: "queue_full", status: 429 } });
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
}

describe("limits and modes of serve", () => {
  test("--threads 0 stores and runs nothing; a start with threads runs it", async () => {
    await using here = await place();
    const alone = await here.serve(["--tasks", "tasks", "--threads", "0"]);
    const ada = await Client.register(alone.url);
    const view = await View.open(ada);
    const ids = await ada.submitAll("quick", [{ n: 1 }, { n: 2 }]);
    ids.push(await ada.submit("quick", { n: 3 }, "?delay=1ms"));
    // A task that waits for its time comes due here as well, so the others have had theirs.
    await view.status(ids[2] as string, "queued");
    for (const id of ids) expect((await ada.task(id)).status).toBe("queued");
    expect((await fetch(`${alone.url}/health/ready`)).status).toBe(200);
    expect((await alone.process.end()).code).toBe(0);

    const working = await here.serve(["--tasks", "tasks", "--threads", "1"]);
    ada.url = working.url;
    await view.connect();
    await view.ended(ids);
    expect(ids.map((id) => view.tasks.get(id)?.result)).toEqual([2, 4, 6]);
    expect(view.faults).toEqual([]);
  });

  test("--retention removes ended tasks after their time, and no others", async () => {
    await using here = await place();
    const { process, url } = await here.serve(["--tasks", "tasks", "--threads", "1", "--retention", "1s"]);
    const ada = await Client.register(url);
    const view = await View.open(ada);
    const waiting = await ada.submit("quick", { n: 0 }, "?delay=1h");
    const ended = await ada.submitAll(
      "quick",
      Array.from({ length: 1_200 }, (_, n) => ({ n })),
    );
    await view.ended(ended);
    const removed = () =>
      process.log.filter(({ message }) => message === "removed old tasks").reduce((sum, { tasks }) => sum + Number(tasks), 0);
    await process.until(() => (removed() >= ended.length ? true : undefined), "the removal");
    expect((await ada.tasks()).map(({ task_id }) => task_id)).toEqual([waiting]);
    expect(await ada.call("GET", `/tasks/${ended[0]}`)).toMatchObject({ status: 404 });
    expect(removed()).toBe(ended.length);
  });

  test("--max-queued-per-user: 429 queue_full with Retry-After, for that user alone, until something ends", async () => {
    await using here = await place();
    const { url } = await here.serve(["--tasks", "tasks", "--threads", "1", "--max-queued-per-user", "3", "--max-queued", "5"]);
    const [ada, bob] = [await Client.register(url, "ada"), await Client.register(url, "bob")];
    const ids = await ada.submitAll("gated", [{ gate: "open" }, { gate: "open" }]);
    // All or none: two more would be one too many.
    expectQueueFull(await ada.call("POST", "/tasks/quick/batch", [{ n: 1 }, { n: 2 }]));
    ids.push(await ada.submit("gated", { gate: "open" }));
    expectQueueFull(await ada.call("POST", "/tasks/quick", { n: 1 }));
    const theirs = await bob.submitAll("gated", [{ gate: "open" }, { gate: "open" }]);
    expectQueueFull(await bob.call("POST", "/tasks/quick", { n: 1 }));
    expect((await ada.tasks()).length + (await bob.tasks()).length).toBe(ids.length + theirs.length);
    here.write({ open: "" });
    await eventually(
      async () => ((await ada.call("POST", "/tasks/quick", { n: 1 })).status === 202 ? true : undefined),
      "room again",
    );
  });

  test("--max-queued: a full service takes no single, no batch and no retry, nor half of one; the same after a restart", async () => {
    await using here = await place();
    const serve = () =>
      here.serve([
        "--tasks",
        "tasks",
        "--threads",
        "1",
        "--slots",
        "1",
        "--drain",
        "0s",
        "--max-queued-per-user",
        "4",
        "--max-queued",
        "6",
      ]);
    const first = await serve();
    const [ada, bob] = [await Client.register(first.url, "ada"), await Client.register(first.url, "bob")];
    const view = await View.open(ada);
    const failed = await ada.submit("failing", { n: 1 });
    await view.ended([failed]);
    // What runs, what waits for its turn and what waits for its time.
    const running = await ada.submit("gated", { gate: "open" });
    await view.status(running, "in progress");
    await ada.submit("gated", { gate: "open" });
    await ada.submit("quick", { n: 1 }, "?delay=1h");
    const theirs = await bob.submitAll("quick", [{ n: 1 }, { n: 2 }], "?delay=1h");
    const cancelled = await bob.submit("quick", { n: 3 }, "?delay=1h");
    await bob.cancel(cancelled);
    theirs.push(await bob.submit("quick", { n: 4 }, "?delay=1h"));
    const held = async () => [...(await ada.tasks()), ...(await bob.tasks())].map(({ task_id }) => task_id);
    const before = await held();
    const expectFull = async (): Promise<void> => {
      expectQueueFull(await ada.call("POST", "/tasks/quick", { n: 1 }));
      expectQueueFull(await bob.call("POST", "/tasks/quick?delay=1h", { n: 1 }));
      expectQueueFull(await ada.call("POST", "/tasks/quick/batch", [{ n: 1 }, { n: 2 }]));
      expectQueueFull(await ada.call("POST", `/tasks/${failed}/retry`));
      expectQueueFull(await bob.call("POST", `/tasks/${cancelled}/retry`));
    };
    await expectFull();
    expect(await held()).toEqual(before);

    expect((await first.process.end()).code).toBe(0);
    ada.url = bob.url = (await serve()).url;
    await expectFull();
    // Room for two in all, and for one of hers.
    for (const id of theirs.slice(0, 2)) await bob.cancel(id);
    expectQueueFull(await ada.call("POST", "/tasks/quick/batch", [{ n: 1 }, { n: 2 }]));
    expect(await ada.call("POST", `/tasks/${failed}/retry`)).toMatchObject({ status: 202 });
    expectQueueFull(await ada.call("POST", "/tasks/quick", { n: 1 }));
    expect(await bob.call("POST", "/tasks/quick?delay=1h", { n: 1 })).toMatchObject({ status: 202 });
    expectQueueFull(await bob.call("POST", `/tasks/${cancelled}/retry`));
  });

  test("a kept secret keeps sessions over a restart; another one ends them", async () => {
    await using here = await place();
    const first = await here.serve();
    const ada = await Client.register(first.url);
    await first.process.end();
    ada.url = (await here.serve()).url;
    expect(await ada.call("GET", "/auth/me")).toMatchObject({ status: 200, body: { id: ada.id } });
    await using other = await place();
    const given = await other.serve([], { ARTEL_SECRET: "0123456789abcdef" });
    const bob = await Client.register(given.url);
    await given.process.end();
    bob.url = (await other.serve([], { ARTEL_SECRET: "fedcba9876543210" })).url;
    expect(await bob.call("GET", "/auth/me")).toMatchObject({ status: 401 });
  });
});
