import type { InputProblem } from "../domain/errors.ts";
import { Unavailable } from "../domain/errors.ts";
import type { FromLoader, InputCheck, InputVerdict, Measure, ToLoader } from "./messages.ts";

/** A thread that says nothing for so long while it has inputs is taken for stuck, in milliseconds: longer than its own limit. */
const SILENCE_MS = 1_500;
/** The same while it may be importing. */
const IMPORT_MS = 5_000;
/** So many inputs are in its hands at a time. */
const WINDOW = 256;
/** What has waited for longer behind an input that hangs or is slow, of the same task, is refused, in milliseconds. */
const PATIENCE_MS = 5_000;
/** So many may wait. */
const WAITING_MAX = 10_000;

/** What is wrong with an input, and what its schema makes of it; see InputVerdict. */
export interface Checked {
  readonly problems: readonly InputProblem[];
  readonly filled: string | undefined;
}

export interface Check {
  readonly id: number;
  /** When it came, by performance.now(). */
  readonly at: number;
  readonly task: string;
  readonly by: Measure;
  readonly input: unknown;
  readonly resolve: (checked: Checked) => void;
  readonly reject: (error: Unavailable) => void;
  /** It was there when a thread got stuck or slow: now it is in a thread's hands alone, so that it is known which one it was. */
  suspect: boolean;
}

/**
 * One loader thread that checks inputs, and the inputs that wait for it. One that hangs or ends the thread is refused; the
 * others are checked by the thread that follows.
 */
export class SchemaLane {
  readonly #entry: URL;
  /** Told of a task whose schema has hung or is slow, with what else waits for it. */
  readonly #onHung: (task: string, left: readonly Check[]) => void;
  #worker: Worker | undefined;
  #ready = false;
  #waiting: Check[] = [];
  readonly #sent = new Map<number, Check>();
  /** Files that this thread has imported; "" is the validator of JSON Schemas. */
  readonly #imported = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** It is one task's. */
  readonly #alone: boolean;
  /** The thread that was given up last and has not ended: inside of a regular expression it goes on to its end. */
  #ending: Worker | undefined;
  /** Nobody waits for that any longer. */
  #overdue = false;
  #pumping = false;
  #nextId = 1;
  #closing = false;

  /** @param alone it is one task's, which then has no second thread while one that was given up has not ended */
  constructor(entry: URL, alone: boolean, onHung: (task: string, left: readonly Check[]) => void) {
    this.#entry = entry;
    this.#alone = alone;
    this.#onHung = onHung;
  }

  /** @throws Unavailable as SchemaRunner */
  check(task: string, by: Measure, input: unknown): Promise<Checked> {
    if (this.#waiting.length >= WAITING_MAX)
      return Promise.reject(new Unavailable("schema_busy", "too many inputs wait to be checked: try again"));
    if (this.#overdue) return Promise.reject(tookTooLong(task, BUSY));
    const { promise, resolve, reject } = Promise.withResolvers<Checked>();
    const at = performance.now();
    this.#waiting.push({ id: this.#nextId++, at, task, by, input, resolve, reject, suspect: false });
    this.#pumpSoon();
    return promise;
  }

  /** Takes over what waits elsewhere. */
  adopt(checks: readonly Check[]): void {
    this.#waiting.unshift(...checks.map((check) => ({ ...check, id: this.#nextId++ })));
    this.#pumpSoon();
  }

  /** Ends with what it has been given. */
  close(): void {
    this.#closing = true;
    this.#endIfIdle();
  }

  /** Ends now; what waits is refused. */
  stop(): void {
    this.#closing = true;
    this.#refuseAll("the service is ending");
  }

  #refuseAll(why: string): void {
    const refused = [...this.#sent.values(), ...this.#waiting];
    this.#sent.clear();
    this.#waiting = [];
    for (const check of refused) check.reject(new Unavailable("schema_failed", why));
    this.#drop();
  }

  /** What comes in one turn goes out as one message. */
  #pumpSoon(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#waiting.length === 0) return this.#endIfIdle();
    if (this.#ending !== undefined) return;
    this.#worker ??= this.#start();
    if (!this.#ready) return;
    const taken = this.#take();
    if (taken.length === 0) return;
    for (const check of taken) this.#sent.set(check.id, check);
    const checks: InputCheck[] = taken.map(({ id, by, input }) => ({ id, by, input }));
    this.#worker.postMessage({ kind: "check", checks: JSON.stringify(checks) } satisfies ToLoader);
    this.#watch();
  }

  #take(): readonly Check[] {
    const room = WINDOW - this.#sent.size;
    const first = this.#waiting[0];
    if (first?.suspect) return this.#sent.size === 0 ? this.#waiting.splice(0, 1) : [];
    // Suspects leave one by one.
    const alone = [...this.#sent.values()].some(({ suspect }) => suspect);
    const next = this.#waiting.findIndex(({ suspect }) => suspect);
    return alone ? [] : this.#waiting.splice(0, next < 0 ? room : Math.min(room, next));
  }

  #start(): Worker {
    const worker = new Worker(this.#entry.href);
    worker.onmessage = ({ data }: MessageEvent<FromLoader>) => {
      if (worker !== this.#worker) return;
      if (data.kind === "ready") this.#ready = true;
      else if (data.kind === "imported") this.#imported.add(data.file);
      else if (data.kind === "checked") this.#judge(data.verdicts);
      this.#watch();
      this.#pump();
    };
    worker.onerror = (event) => event.preventDefault();
    worker.addEventListener("close", () => {
      if (worker !== this.#worker) return;
      const hasBegun = this.#ready;
      // Nothing is left of it to be ended.
      this.#ready = false;
      if (hasBegun) this.#stuck("its schema ended its thread");
      else this.#refuseAll("the thread that checks inputs cannot be started");
    });
    return worker;
  }

  #judge(verdicts: readonly InputVerdict[]): void {
    const slow = new Set<string>();
    for (const { id, problems, filled, failed, late, slow: isSlow } of verdicts) {
      const check = this.#sent.get(id);
      if (!check) continue;
      this.#sent.delete(id);
      if (isSlow) slow.add(check.task);
      if (problems) check.resolve({ problems, filled });
      else check.reject(late ? tookTooLong(check.task) : notRun(check.task, failed));
    }
    for (const task of slow) this.#slowed(task);
  }

  /** What else is in the thread's hands of this task would take as long: it is taken back, and goes one by one. */
  #slowed(task: string): void {
    const held = [...this.#sent.values()];
    if (held.some((check) => check.task === task)) {
      this.#drop();
      this.#sent.clear();
      this.#waiting.unshift(...held);
    }
    for (const check of this.#waiting) check.suspect ||= check.task === task;
    this.#partWith(task);
  }

  /** Each word of the thread puts the limit off. */
  #watch(): void {
    clearTimeout(this.#timer);
    if (this.#sent.size === 0) return;
    const importing = [...this.#sent.values()].some(({ by }) => !this.#imported.has("file" in by ? by.file : ""));
    this.#timer = setTimeout(() => this.#stuck("it took too long"), importing ? IMPORT_MS : SILENCE_MS);
  }

  /** Gives the thread up. What was in its hands alone is to blame; else each is tried alone. */
  #stuck(why: string): void {
    this.#drop();
    const held = [...this.#sent.values()];
    this.#sent.clear();
    const [only] = held;
    if (only && (held.length === 1 || only.suspect)) {
      only.reject(tookTooLong(only.task, why));
      this.#partWith(only.task);
    } else {
      for (const check of held) check.suspect = true;
      this.#waiting.unshift(...held);
    }
    this.#pump();
  }

  /** What waits for a schema that hangs or is slow must hold up nobody else; and not itself for as long as each of it takes. */
  #partWith(task: string): void {
    const latest = performance.now() - PATIENCE_MS;
    const { mine = [], others = [] } = Object.groupBy(this.#waiting, (check) => (check.task === task ? "mine" : "others"));
    const { late = [], left = [] } = Object.groupBy(mine, ({ at }) => (at < latest ? "late" : "left"));
    this.#waiting = others;
    for (const check of late) check.reject(tookTooLong(task));
    this.#onHung(task, left);
  }

  #endIfIdle(): void {
    if (this.#closing && this.#sent.size === 0 && this.#waiting.length === 0) this.#drop();
  }

  #drop(): void {
    clearTimeout(this.#timer);
    const worker = this.#worker;
    this.#worker = undefined;
    // One that is still starting is left to end by itself: to end it then has ended the process.
    if (worker && this.#ready) this.#end(worker);
    this.#ready = false;
    this.#imported.clear();
  }

  #end(worker: Worker): void {
    worker.terminate();
    if (!this.#alone || this.#closing) return;
    this.#ending = worker;
    const timer = setTimeout(() => {
      this.#overdue = true;
      const refused = this.#waiting;
      this.#waiting = [];
      for (const check of refused) check.reject(tookTooLong(check.task, BUSY));
    }, PATIENCE_MS);
    worker.addEventListener("close", () => {
      clearTimeout(timer);
      this.#ending = undefined;
      this.#overdue = false;
      this.#pumpSoon();
    });
  }
}

const BUSY = "its thread has not come back from an input before";

const tookTooLong = (task: string, why = "it took too long"): Unavailable =>
  new Unavailable("schema_timeout", `the input could not be checked by the schema of the task "${task}": ${why}`);

const notRun = (task: string, why: string | undefined): Unavailable =>
  new Unavailable("schema_failed", `the schema of the task "${task}" could not be run`, { cause: new Error(why) });
