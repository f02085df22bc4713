import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Flight, flightFile, flightKey, readFlights, removeFlights } from "../../src/workers/flight.ts";

// The preload's limit holds for the first file of a run only.
setDefaultTimeout(30_000);

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "artel-flight-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const ref = (n: number, fence = 1) => ({ id: `01a20bc6-0d3d-7664-9945-${String(n).padStart(12, "0")}`, fence });

describe("what a thread runs", () => {
  test("is what has begun and not ended, by dispatch", () => {
    const flight = new Flight(flightFile(directory, 1), 4);
    const other = new Flight(flightFile(directory, 2), 2);
    flight.begin(0, ref(1));
    flight.begin(3, ref(2, 7));
    other.begin(1, ref(3));
    flight.end(0);
    flight.begin(0, ref(4));
    other.begin(0, ref(5));
    other.end(0);
    expect([...(readFlights(directory)?.keys() ?? [])].sort()).toEqual([ref(2, 7), ref(3), ref(4)].map(flightKey).sort());
  });

  test("is unknown without files, and nothing with empty ones", () => {
    expect(readFlights(directory)).toBeUndefined();
    new Flight(flightFile(directory, 1), 4);
    expect(readFlights(directory)).toEqual(new Map());
    removeFlights(directory);
    expect([readFlights(directory), readdirSync(directory)]).toEqual([undefined, []]);
  });

  test("is not known where its file cannot be made, and the thread runs all the same", () => {
    const flight = new Flight(flightFile(join(directory, "gone"), 1), 4);
    flight.begin(0, ref(1));
    flight.end(0);
    removeFlights(join(directory, "gone"));
    new Flight(flightFile(directory, 2), 4).begin(1, ref(2));
    expect([...(readFlights(directory)?.keys() ?? [])]).toEqual([flightKey(ref(2))]);
  });

  test("invariant 6: outlives a process that is killed", async () => {
    const child = Bun.spawn(
      [
        process.execPath,
        "-e",
        `const { Flight } = await import(${JSON.stringify(join(import.meta.dir, "../../src/workers/flight.ts"))});
         new Flight(${JSON.stringify(flightFile(directory, 1))}, 4).begin(2, ${JSON.stringify(ref(6))});
         process.kill(process.pid, "SIGKILL");`,
      ],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
    expect(readFlights(directory)).toEqual(new Map([[flightKey(ref(6)), ref(6)]]));
  });
});
