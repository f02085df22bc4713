import { expect, test } from "bun:test";
import { newReasons } from "../../src/cli/client/why-queued.ts";

test("a reason is said once, and again when it says something else than other figures, or comes anew", () => {
  const said: string[] = [];
  const hear = newReasons((why) => said.push(why));
  const rate = (time: string): string => `the next one begins at 2026-11-24T${time}Z`;
  for (const why of [undefined, "4 of 4 run", "5 of 4 run", rate("10:00:00.000"), rate("10:00:05.120"), "5 of 4 run"]) hear(why);
  expect(said).toEqual(["4 of 4 run", rate("10:00:00.000"), "5 of 4 run"]);
  hear("9 of 4 run");
  hear(undefined);
  hear("7 of 4 run");
  expect(said.slice(3)).toEqual(["7 of 4 run"]);
});
