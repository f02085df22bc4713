import { expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { lines, Place } from "../support/artel-process.ts";
import { LIMIT_MS } from "../support/waiting.ts";
import { FOLDER, headerOf, install, placeWithExamples, type Settings } from "./examples.ts";

setDefaultTimeout(LIMIT_MS);

const ROOT = join(import.meta.dir, "../..");
const NAMES = readdirSync(FOLDER)
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -3))
  .sort();

test("each example begins with what it does, what it shows and how it is submitted; the README links it", () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const linked = [...readme.matchAll(/\(test\/examples\/tasks\/(\w+)\.ts\)/g)].map(([, name]) => name);
  expect(linked.sort()).toEqual(NAMES);
  for (const name of NAMES) {
    const header = headerOf(name);
    expect(header).toHaveLength(3);
    expect(header[1]).toStartWith("// Shows: ");
    expect(header[2]).toMatch(name === "sum" ? /^\/\/ curl .*\/workflows / : new RegExp(`^// artel run ${name} `));
  }
});

test("the packages that they name are those that the tests run with", () => {
  const read = (folder: string) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Settings;
  const { devDependencies } = read(ROOT) as Settings & { devDependencies: Record<string, string> };
  for (const [name, version] of Object.entries(read(FOLDER).dependencies)) expect(devDependencies[name]).toBe(version);
});

test("all of them can be loaded; without its package, one says which is missing", async () => {
  await using place = await placeWithExamples();
  const fine = await place.run(["check"]);
  expect([fine.code, lines(fine.stdout)]).toEqual([0, NAMES.map((name) => `ok      tasks/${name}.ts: POST /tasks/${name}`)]);
  await using bare = await Place.make();
  cpSync(FOLDER, bare.path("tasks"), { recursive: true });
  const { code, stdout } = await bare.run(["check"]);
  expect(code).toBe(1);
  expect(lines(stdout).filter((line) => line.startsWith("broken"))).toEqual([
    expect.stringMatching(/^broken {2}tasks\/resize\.ts: .*'sharp'/) as unknown as string,
  ]);
});

test("an editor finds nothing wrong with them in a folder of artel init, with the types of node: and Bun installed", async () => {
  await using place = await placeWithExamples();
  await place.run(["init", "mine"]);
  for (const name of ["artel.d.ts", "tsconfig.json"]) cpSync(place.path("mine", name), place.path("tasks", name));
  for (const name of ["bun-types", "@types/node", "undici-types"]) install(place, name);
  const settings = readFileSync(place.path("tasks/tsconfig.json"), "utf8");
  place.write({ "tasks/tsconfig.json": settings.replace('"types": []', '"types": ["bun-types"]') });
  const tsc = join(ROOT, "node_modules/typescript-7/bin/tsc");
  const checker = Bun.spawn([process.execPath, tsc, "-p", place.path("tasks")], { stdout: "pipe", stderr: "inherit" });
  expect(lines(await checker.stdout.text())).toEqual([]);
});
