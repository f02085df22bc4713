import { cpus, release, totalmem, type } from "node:os";
import { type Figure, quantile } from "./bench.ts";

interface Row {
  readonly scenario: string;
  readonly name: string;
  readonly unit: string;
  readonly of: string | undefined;
  readonly values: number[];
}

export interface Result {
  readonly scenario: string;
  readonly name: string;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Which other figure `ratio` is of. */
  readonly of?: string;
  /** Of the medians. */
  readonly ratio?: number;
}

interface About {
  readonly broker: string;
  readonly rounds: number;
  readonly scale: number;
}

/** What all rounds have measured. */
export class Table {
  readonly #rows = new Map<string, Row>();
  readonly #leftOut = new Map<string, string>();

  add(scenario: string, figures: readonly Figure[]): void {
    for (const { name, value, unit, of } of figures) {
      const row = this.#rows.get(name) ?? { scenario, name, unit, of, values: [] };
      row.values.push(value);
      this.#rows.set(name, row);
    }
  }

  leaveOut(scenario: string, missing: string): void {
    this.#leftOut.set(scenario, missing);
  }

  get results(): readonly Result[] {
    return [...this.#rows.values()].map((row) => {
      const limit = row.of === undefined ? undefined : this.#rows.get(row.of);
      const ratio = limit ? { of: limit.name, ratio: median(row.values) / median(limit.values) } : {};
      const { scenario, name, unit, values } = row;
      return { scenario, name, unit, median: median(values), min: Math.min(...values), max: Math.max(...values), ...ratio };
    });
  }

  json(about: About) {
    return { date: new Date().toISOString(), machine: machine(), ...about, results: this.results, left_out: this.#missing() };
  }

  text({ broker, rounds, scale }: About): string {
    const small = scale === 1 ? "" : `, at ${scale} of the full size: no figures to go by`;
    const lines = [
      machine(),
      `${new Date().toISOString().slice(0, 10)}; ${broker} where the name says nothing; medians of ${rounds} (min … max)${small}`,
    ];
    let scenario = "";
    for (const result of this.results) {
      if (result.scenario !== scenario) lines.push("", result.scenario);
      scenario = result.scenario;
      lines.push(line(result));
    }
    lines.push(...Object.entries(this.#missing()).map(([name, missing]) => `\n${name} was left out: it needs ${missing}`));
    return lines.join("\n");
  }

  #missing(): Record<string, string> {
    return Object.fromEntries(this.#leftOut);
  }
}

function line({ name, unit, median: middle, min, max, of, ratio }: Result): string {
  const value = `${shown(middle)}${unit}`.padStart(14);
  const range = `(${shown(min)} … ${shown(max)})`.padEnd(24);
  return `  ${name.padEnd(52)} ${value}   ${range} ${ratio === undefined ? "" : `${shown(ratio)} × ${of}`}`.trimEnd();
}

const median = (values: readonly number[]): number =>
  quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );

const shown = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3));

/** What was measured on. */
function machine(): string {
  const redis = Bun.which("redis-server") ? Bun.spawnSync(["redis-server", "--version"]).stdout.toString() : "";
  const version = /v=(\S+)/.exec(redis)?.[1];
  const parts = [
    `${cpus().length} × ${cpus()[0]?.model ?? "?"}`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `${type()} ${release()}`,
    `Bun ${Bun.version}`,
    version === undefined ? "no Redis" : `Redis ${version}`,
  ];
  return parts.join(", ");
}
