import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { JobRef } from "../ports/broker.ts";

/** One slot: the task's id (36 ASCII bytes), from byte 40 on the fence. */
const ENTRY_BYTES = 48;
const ID_BYTES = 36;
const FENCE_AT = 40;
const FILE = /^running\.\d+$/;

/**
 * What a thread runs at this moment, in a file that it shares with the system's page cache: it outlives the process
 * however that ends, and costs no more than a write to memory. The next start reads from it who may have killed the last.
 */
export class Flight {
  readonly #entry = Buffer.alloc(ENTRY_BYTES);
  readonly #write: (entry: Buffer, at: number) => void;

  /** Makes the file anew. Where that cannot be (a full disk), tasks run all the same, and the next start knows less of them. */
  constructor(file: string, slots: number) {
    try {
      writeFileSync(file, Buffer.alloc(slots * ENTRY_BYTES), { mode: 0o600 });
      this.#write = writerOf(file);
    } catch {
      this.#write = () => {};
    }
  }

  begin(slot: number, { id, fence }: JobRef): void {
    this.#entry.write(id, 0, ID_BYTES, "latin1");
    this.#entry.writeDoubleLE(fence, FENCE_AT);
    this.#write(this.#entry, slot * ENTRY_BYTES);
  }

  end(slot: number): void {
    this.#write(NOTHING, slot * ENTRY_BYTES);
  }
}

const NOTHING = Buffer.alloc(ENTRY_BYTES);

function writerOf(file: string): (entry: Buffer, at: number) => void {
  try {
    const shared = Bun.mmap(file, { shared: true });
    return (entry, at) => shared.set(entry, at);
  } catch {
    // Where files cannot be mapped (Windows), a write does the same and takes a little longer.
    const descriptor = openSync(file, "r+");
    process.once("exit", () => closeSync(descriptor));
    return (entry, at) => void writeSync(descriptor, entry, 0, ENTRY_BYTES, at);
  }
}

/** The file of a process's `count`th thread. */
export const flightFile = (directory: string, count: number): string => join(directory, `running.${count}`);

/**
 * What the threads of the last process were running when it ended, by `flightKey`.
 *
 * @returns undefined when nothing is known of it
 */
export function readFlights(directory: string): ReadonlyMap<string, JobRef> | undefined {
  const files = flightFiles(directory);
  if (files.length === 0) return undefined;
  return new Map(files.flatMap((file) => entriesOf(readFileSync(file))).map((ref) => [flightKey(ref), ref]));
}

/** Removes what `readFlights` reads. */
export function removeFlights(directory: string): void {
  if (existsSync(directory)) for (const file of flightFiles(directory)) removeFlight(file);
}

export function removeFlight(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // On a disk that has become read-only it stays, and names tasks whose rows know better.
  }
}

export const flightKey = ({ id, fence }: JobRef): string => `${id} ${fence}`;

const flightFiles = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => FILE.test(name))
    .map((name) => join(directory, name));

function entriesOf(bytes: Buffer): JobRef[] {
  const refs: JobRef[] = [];
  for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    if (bytes[at] === 0) continue;
    refs.push({ id: bytes.toString("latin1", at, at + ID_BYTES), fence: bytes.readDoubleLE(at + FENCE_AT) });
  }
  return refs;
}
