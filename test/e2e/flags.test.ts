import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { Place } from "../support/artel-process.ts";
import { Client } from "../support/e2e-client.ts";
import { TASKS } from "../support/e2e-tasks.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

const QUICK = TASKS["tasks/quick.ts"] ?? "";
const definitions = async (client: Client): Promise<string[]> =>
  ((await client.call("GET", "/tasks/definitions")).body as { name: string }[]).map(({ name }) => name);

/** Whether this machine has the IPv6 loopback. */
function hasIpv6(): boolean {
  try {
    Bun.listen({ hostname: "::1", port: 0, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}

describe("flags of serve", () => {
  /** A value that each flag takes, and one that it refuses. */
  const checked = {
    port: ["0", "http"],
    threads: ["1", "few"],
    slots: ["2", "0"],
    "log-level": ["info", "loud"],
    drain: ["1s", "5"],
    retention: ["1d", "never"],
    durability: ["full", "some"],
    origins: ["https://app.example", "app.example"],
    "trust-proxy": ["10.0.0.0/8", "10.0.0.0/33"],
    "max-queued": ["10", "many"],
    "max-queued-per-user": ["5", "-1"],
    host: ["127.0.0.1", " "],
    data: ["./data", " "],
    tasks: ["./tasks", " "],
  } as const;
  const variable = (flag: string): string => `ARTEL_${flag.toUpperCase().replaceAll("-", "_")}`;

  test("a flag beats its variable, whatever that says", async () => {
    await using place = await Place.make();
    place.write({ "tasks/quick.ts": QUICK });
    const flags = Object.entries(checked).flatMap(([flag, [good]]) => [`--${flag}`, good]);
    const wrong = Object.fromEntries(Object.entries(checked).map(([flag, [, bad]]) => [variable(flag), bad]));
    const { url, process } = await place.serve(flags, wrong);
    expect(await definitions(await Client.register(url))).toContain("quick");
    expect((await process.end()).code).toBe(0);
  });

  test("a variable beats the default", async () => {
    await using place = await Place.make();
    place.write({ "tasks/quick.ts": QUICK, "other/slow.ts": TASKS["tasks/slow.ts"] ?? "" });
    for (const [flag, [, bad]] of Object.entries(checked)) {
      const { code, stderr } = await place.run(["serve"], { [variable(flag)]: bad });
      expect({ code, stderr }).toEqual({
        code: 2,
        stderr: expect.stringContaining(variable(flag).replace("ARTEL_TRUST_PROXY", "--trust-proxy")),
      });
    }
    const environment = {
      ARTEL_HOST: "0.0.0.0",
      ARTEL_DATA: "kept/here",
      ARTEL_TASKS: "other",
      ARTEL_THREADS: "0",
      ARTEL_DRAIN: "1.5s",
      ARTEL_ORIGINS: "https://app.example, https://b.example",
      ARTEL_MAX_QUEUED_PER_USER: "1",
    };
    const { url, process } = await place.serve([], environment);
    expect(url).toMatch(/^http:\/\/0\.0\.0\.0:\d+$/);
    const ada = await Client.register(url.replace("0.0.0.0", "127.0.0.1"));
    expect(await definitions(ada)).toEqual(["parse", "slow"]);
    expect(existsSync(place.path("kept/here/artel.db"))).toBe(true);
    expect(existsSync(place.path("data"))).toBe(false);
    const asked = await ada.call("GET", "/auth/me", undefined, { origin: "https://b.example" });
    expect(asked.headers.get("access-control-allow-origin")).toBe("https://b.example");
    await ada.submit("slow", { ms: 0 });
    expect(await ada.call("POST", "/tasks/slow", { ms: 0 })).toMatchObject({ status: 429 });
    await process.end();
    expect(process.log.find(({ message }) => message === "draining")).toMatchObject({ drain_ms: 1_500 });
  });

  test("an empty variable is none", async () => {
    await using place = await Place.make();
    const empty = Object.fromEntries(Object.keys(checked).map((flag) => [variable(flag), ""]));
    const { url } = await place.serve(["--port", "0"], empty);
    expect(url).toStartWith("http://127.0.0.1:");
  });

  test("--log-level says what is logged, as JSON lines", async () => {
    await using place = await Place.make();
    const quiet = await place.serve(["--log-level", "error"]);
    expect(await quiet.process.end()).toMatchObject({ code: 0, stderr: "" });
    const loud = await place.serve(["--log-level", "debug"]);
    await fetch(`${loud.url}/health/live`);
    expect(await loud.process.logged("request")).toMatchObject({
      level: "debug",
      method: "GET",
      path: "/health/live",
      status: 200,
    });
    const { stderr } = await loud.process.end();
    for (const line of stderr.trimEnd().split("\n")) expect(JSON.parse(line)).toMatchObject({ time: expect.any(String) });
  });

  test("--port takes the port that it names", async () => {
    await using place = await Place.make();
    const free = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = free;
    free.stop(true);
    expect((await place.serve(["--port", String(port)])).url).toBe(`http://127.0.0.1:${port}`);
  });

  test.skipIf(!hasIpv6())("--host takes an IPv6 address", async () => {
    await using place = await Place.make();
    const { url } = await place.serve(["--host", "::1"]);
    expect(url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    expect(await place.run(["health", "--host", "::1", "--port", new URL(url).port])).toMatchObject({ code: 0 });
  });

  test("--durability full serves as normal does", async () => {
    await using place = await Place.make();
    place.write({ "tasks/quick.ts": QUICK });
    const { url } = await place.serve(["--durability", "full", "--tasks", "tasks"]);
    const ada = await Client.register(url);
    const ids = await ada.submitAll(
      "quick",
      Array.from({ length: 50 }, (_, n) => ({ n })),
    );
    expect(new Set(ids).size).toBe(50);
    expect((await ada.tasks()).length).toBe(50);
  });
});
