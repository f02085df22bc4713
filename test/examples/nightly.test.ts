import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, utimesSync } from "node:fs";
import { expectStatus } from "../support/e2e-client.ts";
import { View } from "../support/e2e-view.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";
import { placeWithExamples, runHeader, serveExamples } from "./examples.ts";

setDefaultTimeout(LIMIT_MS);

const DAY_MS = 86_400_000;

test("nightly: stands among the schedules with Berlin's next half past three, and tidies up when it is run by hand", async () => {
  await using place = await placeWithExamples();
  const ages: Readonly<Record<string, number>> = { "new.webp": 0, "young.webp": 29, "old.webp": 31, "ancient.webp": 400 };
  for (const [name, days] of Object.entries(ages)) {
    const file = `images/resized/${name}`;
    place.write({ [file]: "12345" });
    const then = new Date(Date.now() - days * DAY_MS);
    utimesSync(place.path(file), then, then);
  }
  const { ada } = await serveExamples(place);
  expect(await place.run(["user", "promote", ada.email])).toMatchObject({ code: 0 });
  const schedules = await eventually(async () => {
    const { status, body } = await ada.call("GET", "/schedules");
    return status === 200 ? (body as { items: { next_at: string }[] }).items : undefined;
  }, "an admin's rights");
  expect(schedules).toMatchObject([
    { task: "nightly", cron: "30 3 * * *", time_zone: "Europe/Berlin", missed: "skip", input: { days: 30 }, paused: false },
  ]);
  const next = new Date(schedules[0]?.next_at ?? "");
  expect(next.toLocaleTimeString("en-GB", { timeZone: "Europe/Berlin" })).toBe("03:30:00");
  // The very next one; the night in which summer time ends is an hour longer.
  expect(next.getTime()).toBeGreaterThan(Date.now());
  expect(next.getTime()).toBeLessThanOrEqual(Date.now() + DAY_MS + DAY_MS / 24);

  const view = await View.open(ada);
  const run = expectStatus(202, await ada.call("POST", "/schedules/nightly/run")) as { task_id: string };
  const ended = async () => (expectStatus(200, await ada.call("GET", `/tasks/${run.task_id}`)) as { status: string }).status;
  await eventually(async () => ((await ended()) === "done" ? true : undefined), "the end of the run by hand");
  expect((await ada.task(run.task_id)).result).toEqual({ removed: 2, bytes: 10, kept: 2 });
  expect(readdirSync(place.path("images/resized")).sort()).toEqual(["new.webp", "young.webp"]);

  // The command of its header, for a week.
  expect(JSON.parse((await runHeader(place, "nightly", ada)).stdout)).toMatchObject({ result: { removed: 1, kept: 1 } });
  expect(readdirSync(place.path("images/resized"))).toEqual(["new.webp"]);
  view.close();
});

test("nightly: where no picture has been made smaller yet, there is nothing to do", async () => {
  await using place = await placeWithExamples();
  const { ada } = await serveExamples(place);
  const { stdout } = await runHeader(place, "nightly", ada);
  expect(JSON.parse(stdout)).toMatchObject({ status: "done", result: { removed: 0, bytes: 0, kept: 0 } });
});
