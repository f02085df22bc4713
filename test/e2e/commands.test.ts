import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { type Ended, lines, Place } from "../support/artel-process.ts";
import { LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

/** A call that is wrong: exit code 2, and one line on stderr that names what. */
function expectWrongCall({ code, stdout, stderr }: Ended, named: string): void {
  expect({ code, stdout, lines: lines(stderr).length }).toEqual({ code: 2, stdout: "", lines: 1 });
  expect(stderr).toContain(named);
}

describe("commands", () => {
  let place: Place;
  beforeAll(async () => {
    place = await Place.make();
  });
  afterAll(() => place[Symbol.asyncDispose]());

  test.each([[["version"]], [["--version"]], [["-v"]]])("%j prints the version", async (args) => {
    const { code, stdout, stderr } = await place.run(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^artel \d+\.\d+\.\d+ \(bun \d+\.\d+\.\d+, [a-z0-9-]+\)\n$/);
  });

  test.each([[[]], [["help"]], [["--help"]], [["-h"]]])("%j lists the commands", async (args) => {
    const { code, stdout, stderr } = await place.run(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const command of ["serve", "migrate", "openapi", "health", "version", "help"])
      expect(stdout).toContain(`  artel ${command}`);
    expect(stdout).not.toContain("isolate");
  });

  test.each([[["help", "serve"]], [["serve", "--help"]], [["serve", "-h"]], [["serve", "--port", "1", "--help"]]])(
    "%j shows the command's flags and starts nothing",
    async (args) => {
      const { code, stdout, stderr } = await place.run(args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      for (const flag of ["host", "port", "data", "threads", "max-queued-per-user"]) expect(stdout).toContain(`  --${flag} `);
      expect(stdout).toContain("(default 12000)");
    },
  );

  test.skipIf(!existsSync("/dev/full"))("what cannot be written is no success, and one line says so", async () => {
    const { ended } = place.start(["openapi"], {}, ["sh", "-c", '"$@" > /dev/full', "sh"]);
    const { code, stderr } = await ended;
    expect([code, lines(stderr)]).toEqual([1, [expect.stringMatching(/could not be written: .*ENOSPC/)]]);
  });

  test("each command has help of its own", async () => {
    const list = (await place.run(["help"])).stdout;
    const commands = Array.from(list.matchAll(/^ {2}artel (\w+)/gm), ([, command]) => command ?? "");
    expect(commands).toContain("serve");
    for (const command of commands) {
      const { code, stdout } = await place.run(["help", command]);
      expect(code).toBe(0);
      expect(stdout).toStartWith(`artel ${command}`);
      expect(stdout).toMatch(/^example: .*artel /m);
    }
  });

  test.each([
    [["bogus"], '"bogus"'],
    [["serv"], "did you mean serve?"],
    [["serve", "--treads", "1"], "did you mean --threads?"],
    [["--bogus"], '"--bogus"'],
    [["help", "bogus"], '"bogus"'],
    [["help", "serve", "more"], '"more"'],
    [["version", "more"], '"more"'],
    [["version", "--port", "1"], "--port"],
    [["openapi", "more"], '"more"'],
    [["health", "more"], '"more"'],
    [["isolate"], "isolate"],
    [["migrate"], "up, down or status"],
    [["migrate", "sideways"], "up, down or status"],
    [["migrate", "status", "3"], '"3"'],
    [["migrate", "down", "0"], '"0"'],
    [["migrate", "down", "--to", "0000_init"], "--to"],
    [["migrate", "up", "--to"], "--to"],
    [["serve", "more"], '"more"'],
    [["serve", "two\nlines"], "two lines"],
    [["serve", "--bogus"], "--bogus"],
    [["serve", "-x"], "-x"],
    [["serve", "--port"], "--port"],
    [["serve", "--port", "http"], "--port"],
    [["serve", "--port", "65536"], "--port"],
    [["serve", "--port", ""], "--port"],
    [["serve", "--host", ""], "--host"],
    [["serve", "--data", ""], "--data"],
    [["serve", "--tasks", ""], "--tasks"],
    [["serve", "--threads", "-1"], "--threads"],
    [["serve", "--threads", "1e3"], "--threads"],
    [["serve", "--threads", "100000"], "--threads"],
    [["serve", "--slots", "0"], "--slots"],
    [["serve", "--drain", "5"], "--drain"],
    [["serve", "--drain", "99999999999999999d"], "--drain"],
    [["serve", "--retention", "never"], "--retention"],
    [["serve", "--durability", "some"], "--durability"],
    [["serve", "--log-level", "loud"], "--log-level"],
    [["serve", "--origins", "app.example"], "--origins"],
    [["serve", "--origins", "https://app.example/"], "--origins"],
    [["serve", "--trust-proxy", "10.0.0.0/33"], "--trust-proxy"],
    [["serve", "--max-queued", "many"], "--max-queued"],
  ])("%j is wrong and says so in one line", async (args, named) => {
    expectWrongCall(await place.run(args), named);
  });

  test.each([
    ["ARTEL_PORT", "http"],
    ["ARTEL_THREADS", "few"],
    ["ARTEL_LOG_LEVEL", "loud"],
    ["ARTEL_MAX_QUEUED_PER_USER", "-1"],
  ])("a wrong %s is named", async (variable, value) => {
    expectWrongCall(await place.run(["serve"], { [variable]: value }), variable);
  });

  test("a wrong call changes nothing", () => {
    expect(readdirSync(place.folder)).toEqual(["artel"]);
  });
});

describe("migrate", () => {
  test("makes, shows and takes back the database without a server", async () => {
    await using place = await Place.make();
    expect(await place.run(["migrate", "status"])).toMatchObject({ code: 1, stderr: expect.stringContaining("artel.db") });
    expect(await place.run(["migrate", "down"])).toMatchObject({ code: 1, stderr: expect.stringContaining("artel.db") });
    const unknown = await place.run(["migrate", "up", "--to", "nope"]);
    expect(unknown).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/^artel: .*"nope".*\n$/) });
    expect(existsSync(place.path("data"))).toBe(false);

    expect(await place.run(["migrate", "up"])).toMatchObject({ code: 0, stdout: expect.stringContaining("applied  0000_init") });
    expect(await place.run(["migrate", "up"])).toMatchObject({ code: 0, stdout: "nothing to do\n" });
    const all = (await place.run(["migrate", "status"])).stdout;
    expect(lines(all).every((line) => line.startsWith("applied  "))).toBe(true);

    expect(await place.run(["migrate", "down", String(lines(all).length)])).toMatchObject({ code: 0 });
    expect((await place.run(["migrate", "status"])).stdout).toBe(all.replaceAll("applied", "pending"));
    expect(await place.run(["migrate", "up", "--to", "nope"])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^artel: .*"nope".*\n$/),
    });
    expect(await place.run(["migrate", "up", "--to", "0000_init"])).toMatchObject({ code: 0 });
    expect(await place.run(["migrate", "status", "--data", "elsewhere"])).toMatchObject({ code: 1 });
    expect(existsSync(place.path("elsewhere"))).toBe(false);
  });

  test("beside a server: status shows, up and down are refused, and the server goes on", async () => {
    await using place = await Place.make();
    const { url } = await place.serve();
    expect(await place.run(["migrate", "status"])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("applied  0000_init"),
    });
    for (const action of ["up", "down"]) {
      expect(await place.run(["migrate", action])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^artel: .* in use by another artel.*\n$/),
      });
    }
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
  });
});

describe("health", () => {
  test("tells by its exit code whether the server answers", async () => {
    await using place = await Place.make();
    const served = await place.serve();
    const { port } = new URL(served.url);
    expect(await place.run(["health", "--port", port])).toMatchObject({ code: 0, stderr: "" });
    expect(await place.run(["health"], { ARTEL_PORT: port, ARTEL_HOST: "0.0.0.0" })).toMatchObject({ code: 0 });
    await served.process.end();
    const down = await place.run(["health", "--port", port]);
    expect({ code: down.code, lines: lines(down.stderr).length }).toEqual({ code: 1, lines: 1 });
  });
});
