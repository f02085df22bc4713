import { type NewWork, UNKNOWN_WORK, type Unsubscribe } from "../../ports/broker.ts";
import { Signal } from "../signal.ts";
import { Blocking } from "./blocking.ts";
import type { Link } from "./link.ts";

/** While every wait brings something, waits begin at least so long apart, in milliseconds: signals of one moment come together. */
const APART_MS = 1;
const NONE: NewWork = { shared: 0, alone: 0 };

/** Wakes a worker process: there is work, or running jobs should stop. Nothing is missed between two waits. */
export class SignalStream {
  readonly #link: Link;
  readonly #onWork = new Signal<[NewWork]>();
  readonly #onCancel = new Signal<[readonly string[]]>();
  #blocking: Blocking | undefined;
  /** In signals of this side's own. */
  readonly #sender: string;
  #stopped = false;
  #last: string;

  constructor(link: Link, sender: string) {
    this.#link = link;
    this.#sender = sender;
    this.#last = link.signalsFrom;
    link.onReady(() => {
      this.#last = link.signalsFrom;
      this.#onWork.emit(UNKNOWN_WORK);
    });
  }

  onWork(listener: (work: NewWork) => void): Unsubscribe {
    this.#start();
    return this.#onWork.on(listener);
  }

  onCancel(listener: (ids: readonly string[]) => void): Unsubscribe {
    this.#start();
    return this.#onCancel.on(listener);
  }

  /** What this side's signal of new work says. */
  signalOf({ shared, alone }: NewWork): string {
    return `${this.#sender} ${shared} ${alone}`;
  }

  /** This side has just sent work: its own workers need no signal that comes over Redis. */
  sent(work: NewWork): void {
    this.#onWork.emit(work);
  }

  stop(): void {
    this.#stopped = true;
    this.#blocking?.stop();
  }

  #start(): void {
    if (this.#blocking) return;
    this.#blocking = new Blocking(this.#link, "artel-signals");
    void this.#watch(this.#blocking);
  }

  async #watch(blocking: Blocking): Promise<void> {
    while (!this.#stopped) {
      const after = this.#last;
      const entries = await blocking.wait(this.#link.keys.signals, after);
      // Another life of the data counts anew.
      if (this.#last !== after) continue;
      // Without any signal for a while: whatever may have gone wrong, nothing waits longer than this.
      let work = entries.length === 0 ? UNKNOWN_WORK : NONE;
      for (const [id, [name, value = ""]] of entries) {
        this.#last = id;
        if (name === "c") this.#onCancel.emit(JSON.parse(value) as string[]);
        else work = sum(work, this.#workOf(value));
      }
      if (work.shared + work.alone > 0) this.#onWork.emit(work);
      if (entries.length > 0) await new Promise((resolve) => setTimeout(resolve, APART_MS));
    }
  }

  #workOf(signal: string): NewWork {
    const [sender, shared, alone] = signal.split(" ");
    if (sender === this.#sender) return NONE;
    return shared === undefined ? UNKNOWN_WORK : { shared: Number(shared), alone: Number(alone) };
  }
}

const sum = (a: NewWork, b: NewWork): NewWork => ({ shared: a.shared + b.shared, alone: a.alone + b.alone });
