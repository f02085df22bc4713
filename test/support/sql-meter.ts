/** What this process asks of SQLite: each statement's text, and how often it runs. Nothing is in the place of the real database. */
import { Database, type Statement } from "bun:sqlite";

const METHODS = ["run", "get", "all", "values", "iterate", "raw"] as const;
type Method = (...parameters: unknown[]) => unknown;
type Worded = (this: Database, text: string, ...rest: unknown[]) => unknown;
type Metered = Record<(typeof METHODS)[number], Method | undefined>;

/** Counts from its making until it is disposed of: all databases of the process whose statements are prepared meanwhile. */
export class SqlMeter implements Disposable {
  readonly #counts = new Map<string, number>();
  readonly #undo: (() => void)[] = [];

  constructor() {
    const seen = new WeakSet<object>();
    for (const name of ["prepare", "query"] as const) {
      this.#replace(name, (original) => {
        const meter = this;
        return function (this: Database, text, ...rest) {
          const statement = original.call(this, text, ...rest) as Statement & object;
          if (!seen.has(statement)) meter.#watch(statement, text);
          seen.add(statement);
          return statement;
        };
      });
    }
    // It prepares nothing that could be watched.
    this.#replace("run", (original) => {
      const count = (text: string): void => this.#count(text);
      return function (this: Database, text, ...rest) {
        count(text);
        return original.call(this, text, ...rest);
      };
    });
  }

  /** How often each statement has run since the last reset, by its text on one line; PRAGMAs are left out. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** The same by what a statement does, to which table: `{"INSERT tasks": 1000, BEGIN: 1, …}`. */
  get kinds(): Record<string, number> {
    return this.#byKind(() => 1);
  }

  /** The rows that statements with lists of rows were given, by the same: `{"INSERT tasks": 1000}`. */
  get rows(): Record<string, number> {
    return this.#byKind((text) => text.match(/\(\?[?, ]*\)/g)?.length ?? 0);
  }

  reset(): void {
    this.#counts.clear();
  }

  [Symbol.dispose](): void {
    for (const undo of this.#undo) undo();
  }

  #byKind(weigh: (text: string) => number): Record<string, number> {
    const kinds: Record<string, number> = {};
    for (const [text, count] of this.#counts) {
      const weight = weigh(text) * count;
      if (weight > 0) kinds[kindOf(text)] = (kinds[kindOf(text)] ?? 0) + weight;
    }
    return kinds;
  }

  #watch(statement: object, text: string): void {
    const metered = statement as Metered;
    for (const name of METHODS) {
      const original = metered[name];
      if (original === undefined) continue;
      metered[name] = (...parameters) => {
        this.#count(text);
        return original.apply(statement, parameters);
      };
    }
  }

  #count(text: string): void {
    const line = text.trim().replaceAll(/\s+/g, " ");
    if (line.startsWith("PRAGMA")) return;
    this.#counts.set(line, (this.#counts.get(line) ?? 0) + 1);
  }

  #replace<Name extends "prepare" | "query" | "run">(name: Name, make: (original: Worded) => Worded): void {
    const original = Database.prototype[name] as unknown as Worded;
    (Database.prototype as unknown as Record<Name, Worded>)[name] = make(original);
    this.#undo.push(() => {
      (Database.prototype as unknown as Record<Name, Worded>)[name] = original;
    });
  }
}

function kindOf(text: string): string {
  const [verb = ""] = text.split(" ");
  // Without what a column is looked up by.
  const outer = text.replaceAll(/\(SELECT [^()]*\)/g, "");
  const table = /(?:INTO|UPDATE|FROM|JOIN) "?(\w+)/i.exec(outer)?.[1];
  return table === undefined ? verb.toUpperCase() : `${verb.toUpperCase()} ${table}`;
}
