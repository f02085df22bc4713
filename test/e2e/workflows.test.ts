import { expect, setDefaultTimeout, test } from "bun:test";
import { Place, type Served } from "../support/artel-process.ts";
import { Client, expectStatus } from "../support/e2e-client.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { LIMIT_MS, SEED, seeded } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const SERVE = ["--tasks", "tasks", "--threads", "2", "--slots", "8"];
const CYCLES = 5;

interface Workflow {
  readonly workflow_id: string;
  readonly status: string;
  readonly result: unknown;
  readonly counts: Readonly<Record<string, number>>;
  readonly tasks: readonly { readonly task_id: string; readonly status: string; readonly args?: unknown }[];
}

const submit = async (client: Client, description: unknown) =>
  expectStatus(202, await client.call("POST", "/workflows", description)) as { workflow_id: string; task_ids: string[] };
const show = async (client: Client, id: string) => expectStatus(200, await client.call("GET", `/workflows/${id}`)) as Workflow;

/** Two numbers and a sleeper, then twice their doubles, then the double of the first of these. */
const chord = (n: number, ms = 20) => ({
  chain: [
    {
      chord: [
        { task: "quick", input: { n } },
        { task: "quick", input: { n: n + 1 } },
        { task: "slow", input: { ms } },
      ],
      then: {
        group: [
          { task: "quick", input: { n: { $result: "/0" } } },
          { task: "quick", input: { n: { $result: "/1" } } },
        ],
      },
    },
    { task: "quick", input: { n: { $result: "/0" } } },
  ],
});

/** Kills the server, starts it again, and has the socket go on where it was. */
async function killAndRestart(place: Place, { process }: Served, client: Client, view: View): Promise<Served> {
  await process.end("SIGKILL");
  const served = await place.serve(SERVE);
  client.url = served.url;
  await view.connect();
  return served;
}

test("kill -9 in the middle of a chord: what ran runs again, what waits goes on waiting, and all comes to its end", async () => {
  await using place = await Place.make();
  place.write(TASKS);
  const first = await place.serve(SERVE);
  const client = await Client.register(first.url);
  const view = await View.open(client);
  const { workflow_id, task_ids } = await submit(client, {
    chord: [
      { task: "quick", input: { n: 1 } },
      { task: "gated", input: { gate: "gate" } },
    ],
    then: { task: "quick", input: { n: { $result: "/0" } } },
  });
  const [quick = "", gated = "", last = ""] = task_ids;
  await view.ended([quick]);
  await view.status(gated, "in progress");
  const second = await killAndRestart(place, first, client, view);
  expect(await client.task(last)).toMatchObject({ status: "scheduled", run_at: null });
  place.write({ gate: "" });
  await view.workflowsEnded([workflow_id]);
  expect(await show(client, workflow_id)).toMatchObject({ status: "done", result: 4, counts: { done: 3 } });
  expect(await client.task(last)).toMatchObject({ args: { n: 2 }, result: 4 });
  expect(view.faults).toEqual([]);
  view.close();
  await second.process.end();
});

test("kill -9 at any moment, again and again: every workflow ends, with its value, and sockets miss no end", async () => {
  await using place = await Place.make();
  place.write(TASKS);
  const random = seeded(SEED);
  let served = await place.serve(SERVE);
  const client = await Client.register(served.url);
  const view = await View.open(client);
  const accepted = new Map<string, number>();
  for (let cycle = 0; cycle < CYCLES; cycle += 1) {
    for (let i = 0; i < 12; i += 1) {
      const n = Math.floor(random() * 1_000);
      accepted.set((await submit(client, chord(n, Math.floor(random() * 30)))).workflow_id, n);
    }
    const until = view.transitions + Math.floor(random() * 150);
    const over = () => [...accepted.keys()].every((id) => view.workflows.get(id)?.status === "done");
    await view.until(() => view.transitions >= until || over(), "transitions");
    served = await killAndRestart(place, served, client, view);
  }
  await view.workflowsEnded([...accepted.keys()], 60_000);
  for (const [id, n] of accepted) {
    const workflow = await show(client, id);
    expect({ seed: SEED, status: workflow.status, result: workflow.result }).toEqual({
      seed: SEED,
      status: "done",
      result: 8 * n,
    });
    expect(view.workflows.get(id)).toMatchObject({ status: "done", counts: { done: 6 } });
    for (const { task_id } of workflow.tasks) expect(view.ends.get(task_id)).toBe(1);
  }
  expect(view.faults).toEqual([]);
  view.close();
  await served.process.end();
});

test("a member that kills its process fails as poison, and what waits for it is cancelled", async () => {
  await using place = await Place.make();
  place.write(TASKS);
  const first = await place.serve(SERVE);
  const client = await Client.register(first.url);
  const view = await View.open(client);
  const { workflow_id } = await submit(client, {
    chain: [
      { task: "killer", input: {} },
      { task: "quick", input: { n: 1 } },
    ],
  });
  await first.process.ended;
  const second = await place.serve(SERVE);
  client.url = second.url;
  await view.connect();
  await view.workflowsEnded([workflow_id]);
  const { status, tasks } = await show(client, workflow_id);
  expect([status, ...tasks.map((task) => task.status)]).toEqual(["failed", "failed", "cancelled"]);
  view.close();
  await second.process.end();
});
