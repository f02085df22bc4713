import { expect, setDefaultTimeout, test } from "bun:test";
import { type Client, expectStatus } from "../support/e2e-client.ts";
import { View } from "../support/e2e-view.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";
import { placeWithExamples, runHeader, serveExamples } from "./examples.ts";

setDefaultTimeout(LIMIT_MS);

/** Takes hours. */
const LONG = { from: 1, to: 1_000_000_000_000 };

/** The thread that a task says that it runs on. */
async function threadOf(ada: Client, id: string): Promise<string> {
  return await eventually(async () => {
    const { items } = expectStatus(200, await ada.call("GET", `/tasks/${id}/logs`)) as { items: { message: string }[] };
    return items.find(({ message }) => message.startsWith("on thread"))?.message;
  }, "what thread it runs on");
}

test("search: the right answers, with exact progress", async () => {
  await using place = await placeWithExamples();
  const { ada } = await serveExamples(place);
  const { code, stdout } = await runHeader(place, "search", ada);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ progress: 1, result: { count: 5_761_455, largest: 99_999_989 } });

  const view = await View.open(ada);
  const ranges = [
    { from: 1, to: 1 },
    { from: 2, to: 2 },
    { from: 1, to: 100 },
    { from: 999_983, to: 1_000_003 },
    { from: 999_999_000_000, to: 1_000_000_000_000 },
    { from: 10, to: 9 },
  ];
  const ids = await ada.submitAll("search", ranges);
  await view.ended(ids);
  expect(ids.slice(0, -1).map((id) => view.tasks.get(id)?.result)).toEqual([
    { count: 0, largest: null },
    { count: 1, largest: 2 },
    { count: 25, largest: 97 },
    { count: 2, largest: 1_000_003 },
    { count: 36_400, largest: 999_999_999_989 },
  ]);
  expect(view.tasks.get(ids.at(-1) ?? "")).toMatchObject({ status: "failed", attempt: 1, error: { code: "empty_range" } });
  view.close();
});

test("search: two that are submitted have a thread each, and both heed a cancel while they compute", async () => {
  await using place = await placeWithExamples();
  const { process, ada } = await serveExamples(place, ["--threads", "2", "--slots", "1"]);
  const view = await View.open(ada);
  const ids = await ada.submitAll("search", [LONG, LONG]);
  await view.until(() => ids.every((id) => (view.tasks.get(id)?.progress ?? 0) > 0), "progress of both");
  expect(new Set(await Promise.all(ids.map((id) => threadOf(ada, id)))).size).toBe(2);
  // Told after each piece, so it is a whole number of them.
  const pieces = ((view.tasks.get(ids[0] ?? "")?.progress ?? 0) * LONG.to) / 1_000_000;
  expect(Math.abs(pieces - Math.round(pieces))).toBeLessThan(1e-6);

  for (const id of ids) await ada.cancel(id);
  await view.ended(ids);
  expect(ids.map((id) => view.tasks.get(id)?.status)).toEqual(["cancelled", "cancelled"]);
  expect((await process.end()).code).toBe(0);
  // They ended by themselves: no thread had to be ended.
  expect(process.log.filter(({ level }) => level !== "info")).toEqual([]);
  view.close();
});
