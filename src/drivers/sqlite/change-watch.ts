import type { Database, Statement } from "bun:sqlite";
import { attempt } from "./storage-error.ts";

/** How soon a command beside the server is heeded, in milliseconds. */
const EVERY_MS = 500;

/** Notices that another process has written the database: SQLite's `data_version` changes for that alone. */
export class ChangeWatch {
  readonly #version: Statement<{ data_version: number }, []>;
  readonly #onChange: () => void;
  #last: number | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(db: Database, onChange: () => void) {
    this.#version = db.prepare("PRAGMA data_version");
    this.#onChange = onChange;
  }

  start(): void {
    this.#last = this.#read();
    this.#timer = setInterval(() => attempt(() => this.#look()), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const version = this.#read();
    if (version === this.#last) return;
    this.#onChange();
    this.#last = version;
  }

  #read(): number | undefined {
    return this.#version.get()?.data_version;
  }
}
