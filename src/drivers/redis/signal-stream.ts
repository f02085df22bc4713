import type { Unsubscribe } from "../../ports/broker.ts";
import { Signal } from "../signal.ts";
import { Blocking } from "./blocking.ts";
import type { Link } from "./link.ts";

/** While every wait brings something, waits begin at least so long apart, in milliseconds: signals of one moment come together. */
const APART_MS = 1;

/** Wakes a worker process: there is work, or running jobs should stop. Nothing is missed between two waits. */
export class SignalStream {
  readonly #link: Link;
  readonly #onWork = new Signal<[]>();
  readonly #onCancel = new Signal<[readonly string[]]>();
  #blocking: Blocking | undefined;
  /** In signals of this side's own. */
  readonly sender: string;
  #stopped = false;
  #last: string;

  constructor(link: Link, sender: string) {
    this.#link = link;
    this.sender = sender;
    this.#last = link.signalsFrom;
    link.onReady(() => {
      this.#last = link.signalsFrom;
      this.#onWork.emit();
    });
  }

  onWork(listener: () => void): Unsubscribe {
    this.#start();
    return this.#onWork.on(listener);
  }

  onCancel(listener: (ids: readonly string[]) => void): Unsubscribe {
    this.#start();
    return this.#onCancel.on(listener);
  }

  /** This side has just sent work: its own workers need no signal that comes over Redis. */
  sent(): void {
    this.#onWork.emit();
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
      let work = entries.length === 0;
      for (const [id, [name, value = "[]"]] of entries) {
        this.#last = id;
        if (name === "c") this.#onCancel.emit(JSON.parse(value) as string[]);
        else work ||= value !== this.sender;
      }
      if (work) this.#onWork.emit();
      if (entries.length > 0) await new Promise((resolve) => setTimeout(resolve, APART_MS));
    }
  }
}
