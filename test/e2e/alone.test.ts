import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { hasProc, Place } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { View } from "../support/e2e-view.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const CHECKOUT = join(import.meta.dir, "../..");

/** The files that a process has open or mapped. */
function filesOf(pid: number): string[] {
  const opened = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
  const mapped = readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .flatMap((line) => /\s(\/.*)$/.exec(line)?.[1] ?? []);
  return [...opened, ...mapped].filter((path) => path.startsWith("/"));
}

describe("the executable alone in an empty folder", () => {
  test("takes a user from registration to a result, and writes into its data folder alone", async () => {
    await using place = await Place.make();
    place.write({ ".env": "ARTEL_PORT=none\n", "bunfig.toml": 'preload = ["./missing.ts"]\n', ...pick("quick", "slow") });
    const { process, url } = await place.serve(["--tasks", "tasks"]);
    const ada = await Client.register(url);
    const view = await View.open(ada);

    const quick = await ada.submit("quick", { n: 21 });
    const slow = await ada.submit("slow", { ms: 1 });
    await view.ended([quick, slow]);
    expect(view.tasks.get(quick)).toMatchObject({ status: "done", result: 42, attempt: 1 });
    expect(await ada.task(quick)).toMatchObject({ status: "done", result: 42, args: { n: 21 }, owner_id: ada.id });
    expect(view.faults).toEqual([]);
    // A built-in task and the page's assets come out of the executable as well.
    expect((await ada.call("GET", "/docs")).status).toBe(200);
    expect((await ada.call("GET", "/tasks/definitions")).body).toMatchObject([
      { name: "parse" },
      { name: "quick" },
      { name: "slow" },
    ]);

    if (hasProc) expect(filesOf(process.pid).filter((path) => path.startsWith(`${CHECKOUT}/`))).toEqual([]);
    view.close();
    const { code, stdout } = await process.end();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[^\n]*http:\/\/127\.0\.0\.1:\d+[^\n]*\n$/);
    expect(readdirSync(place.folder).sort()).toEqual([".env", "artel", "bunfig.toml", "data", "effects", "tasks"]);
    expect(readdirSync(place.home)).toEqual([]);
    expect(readdirSync(place.path("data")).sort()).toEqual(["artel.db", "artel.lock", "secret"]);
    expect(statSync(place.path("data/secret")).mode & 0o777).toBe(0o600);
    expect(statSync(place.path("data")).mode & 0o777).toBe(0o700);
  });

  test("nothing of the checkout stands in the commands' way or help", async () => {
    await using place = await Place.make();
    const { code, stdout, stderr } = await place.run(["openapi"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect((JSON.parse(stdout) as { openapi: string }).openapi).toStartWith("3.");
    expect(stdout).not.toContain(CHECKOUT);
    expect(readdirSync(place.folder)).toEqual(["artel"]);
  });
});

/** Some of the task files. */
function pick(...names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [`tasks/${name}.ts`, TASKS[`tasks/${name}.ts`] ?? ""]));
}
