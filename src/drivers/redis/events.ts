import type { BrokerEvent, JobRef } from "../../ports/broker.ts";

/** An entry of the stream, as Redis answers it: its id, then names and values in turn. */
export type Entry = readonly [id: string, fields: readonly string[]];

/**
 * The events of one entry. Its fields:
 *
 *   w  "AT WORKER", before the starts that it has made
 *   s  "FENCE ID" of each start, a line each
 *   m  before outcomes, a 1 for each that was taken and a 0 for each that was not; empty: all were
 *   o  outcomes, as a JSON array
 *   d  "AT FENCE ID": its worker has been silent for longer than a lease
 *   r  "AT FENCE ID": it was sent to a worker that never got it
 *   l  log lines, as JSON
 */
export function eventsOf([, fields]: Entry): BrokerEvent[] {
  const events: BrokerEvent[] = [];
  let at = 0;
  let worker = "";
  let taken = "";
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const value = fields[i + 1] as string;
    switch (fields[i]) {
      case "w":
        [at, worker] = [Number(value.slice(0, value.indexOf(" "))), value.slice(value.indexOf(" ") + 1)];
        break;
      case "s":
        for (const ref of value.split("\n")) events.push({ kind: "started", ...refOf(ref), at, worker });
        break;
      case "m":
        taken = value;
        break;
      case "o":
        for (const [n, outcome] of (JSON.parse(value) as BrokerEvent[]).entries()) {
          if (taken === "" || taken[n] === "1") events.push(outcome);
        }
        break;
      case "d":
      case "r":
        events.push({ kind: fields[i] === "d" ? "lost" : "released", ...timedRefOf(value) });
        break;
      case "l":
        events.push({ kind: "log", ...(JSON.parse(value) as Omit<Extract<BrokerEvent, { kind: "log" }>, "kind">) });
    }
  }
  return events;
}

/** Ends a dispatch: once that is stored, the broker may forget it. */
export const endsDispatch = ({ kind }: BrokerEvent): boolean => kind !== "started" && kind !== "log";

function refOf(value: string): JobRef {
  const space = value.indexOf(" ");
  return { fence: Number(value.slice(0, space)), id: value.slice(space + 1) };
}

function timedRefOf(value: string): JobRef & { at: number } {
  const space = value.indexOf(" ");
  return { at: Number(value.slice(0, space)), ...refOf(value.slice(space + 1)) };
}

/** Compares ids of entries ("MS-N"). @returns below 0 where a comes first */
export function compareIds(a: string, b: string): number {
  const [aMs = 0, aN = 0] = a.split("-").map(Number);
  const [bMs = 0, bN = 0] = b.split("-").map(Number);
  return aMs - bMs || aN - bN;
}
