import { expect, setDefaultTimeout, test } from "bun:test";
import { Place } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { View } from "../support/e2e-view.ts";
import { installSchemaLibraries, SCHEMA_FILES } from "../support/schema-files.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const even = (message: string): string => `import { task } from "artel"; import { z } from "zod";
  export default task({ input: z.object({ n: z.number().refine((n) => n % 2 === 0, "${message}") }), run: ({ n }) => n });`;

test("the executable alone: libraries of the tasks folder, a hanging schema, code that changes and breaks", async () => {
  await using place = await Place.make();
  const files = ["zodded", "valibotted", "arktyped", "trouble"];
  place.write(Object.fromEntries(files.map((name) => [`tasks/${name}.ts`, SCHEMA_FILES[name] ?? ""])));
  place.write({ "tasks/even.ts": even("must be even") });
  installSchemaLibraries(place.path("tasks"));
  const { url, process } = await place.serve(["--tasks", "tasks", "--threads", "1"]);
  const ada = await Client.register(url);
  const view = await View.open(ada);
  const ids = [
    await ada.submit("zodded", { name: "Ada", when: "2020-01-01" }),
    await ada.submit("valibotted", { n: "7" }),
    await ada.submit("arktyped", { n: "12.5" }),
  ];
  await view.ended(ids);
  expect(ids.map((id) => view.tasks.get(id)?.result)).toEqual([
    { year: 2020, name: "Ada", times: 3 },
    { n: 7, word: "d" },
    { n: 12.5, size: "s" },
  ]);
  const [looped, fine] = await Promise.all([
    ada.call("POST", "/tasks/trouble", { how: "loop" }),
    ada.call("POST", "/tasks/even", { n: 2 }),
  ]);
  expect(looped).toMatchObject({ status: 503, body: { code: "schema_timeout" } });
  expect(fine.status).toBe(202);

  const refusal = async () => (await ada.call("POST", "/tasks/even", { n: 1 })).body;
  expect(await refusal()).toMatchObject({ code: "invalid_input", errors: [{ path: "/n", message: "must be even" }] });
  const changes = (times: number) =>
    process.until(
      () => process.log.filter(({ message }) => message === "task files have changed").length >= times || undefined,
      `change ${times}`,
    );
  place.write({ "tasks/even.ts": even("even, please") });
  await changes(1);
  expect(await refusal()).toMatchObject({ errors: [{ path: "/n", message: "even, please" }] });
  // While its file is broken, nobody can say whether an input fits.
  place.write({ "tasks/even.ts": "broken(" });
  await changes(2);
  expect(await ada.call("POST", "/tasks/even", { n: 2 })).toMatchObject({ status: 503, body: { code: "schema_failed" } });
  expect((await ada.call("POST", "/tasks/arktyped", { n: "1" })).status).toBe(202);
  view.close();
  expect((await process.end()).code).toBe(0);
});
