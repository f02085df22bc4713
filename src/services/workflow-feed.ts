import { Unavailable } from "../domain/errors.ts";
import type { Notifier } from "../ports/notices.ts";
import type { Clock, Log, Service } from "../ports/runtime.ts";
import type { TaskStore, Transaction, UnitOfWork } from "../ports/tasks.ts";
import type { StoredWorkflow, WorkflowStore } from "../ports/workflows.ts";

/** A workflow that goes on is told of at most this often, in milliseconds. */
const QUIET_MS = 100;
/** After a failed commit, in milliseconds. */
const RETRY_MS = 500;
/** Workflows told of in one transaction at the start. */
const BATCH = 500;

interface Parts {
  readonly store: TaskStore;
  readonly workflows: WorkflowStore;
  readonly work: UnitOfWork;
  readonly notifier: Notifier;
  readonly clock: Clock;
  readonly log: Log;
}

/** Of a workflow that was told of a moment ago. */
interface Quiet {
  timer: ReturnType<typeof setTimeout>;
  /** Something has changed since. */
  untold: boolean;
}

/**
 * Tells owners how far their workflows are. The first word and the last one are said at once; in between, changes that come
 * faster than anybody can read are stored as untold, and told together under a seq of that moment: seqs are told in order.
 * What a process leaves untold, the next one tells.
 */
export class WorkflowFeed implements Service {
  readonly #parts: Parts;
  readonly #quiet = new Map<string, Quiet>();
  #stopped = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    const { work, workflows, clock } = this.#parts;
    for (let told = BATCH; told === BATCH; ) {
      told = await work.grouped((tx) => {
        const untold = workflows.untold(BATCH);
        for (const workflow of untold) this.#tell(tx, workflow, clock.now());
        return untold.length;
      });
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#quiet.values()) clearTimeout(timer);
    this.#quiet.clear();
  }

  /** It has been stored, under its seq. */
  began(tx: Transaction, workflow: StoredWorkflow, at: number): void {
    tx.afterCommit(() => this.#parts.notifier.workflow(workflow, at));
    this.#beQuiet(workflow.id);
  }

  /** Its members have come further; it is stored here. */
  changed(tx: Transaction, workflow: StoredWorkflow, at: number): void {
    const quiet = this.#quiet.get(workflow.id);
    const later = workflow.finishedAt === null && (quiet !== undefined || this.#stopped);
    if (!later) return this.#tell(tx, workflow, at);
    if (quiet) quiet.untold = true;
    this.#parts.workflows.update(workflow, true);
  }

  #tell(tx: Transaction, workflow: StoredWorkflow, at: number): void {
    const told = { ...workflow, seq: this.#parts.store.nextSeq() };
    this.#parts.workflows.update(told, false);
    tx.afterCommit(() => this.#parts.notifier.workflow(told, at));
    // What was untold before is so again.
    tx.onRollback(() => this.#leaveUntold(workflow.id));
    this.#beQuiet(workflow.id);
  }

  #leaveUntold(id: string): void {
    const quiet = this.#quiet.get(id);
    if (quiet) quiet.untold = true;
  }

  /** Also where the transaction is undone afterwards: then there will be nothing to tell. */
  #beQuiet(id: string, ms = QUIET_MS): void {
    clearTimeout(this.#quiet.get(id)?.timer);
    if (this.#stopped) return;
    this.#quiet.set(id, { timer: setTimeout(() => void this.#over(id), ms), untold: false });
  }

  async #over(id: string): Promise<void> {
    if (!this.#quiet.get(id)?.untold) return void this.#quiet.delete(id);
    try {
      await this.#parts.work.grouped((tx) => this.#catchUp(tx, id));
    } catch (error) {
      // What cannot be reached says so itself.
      if (!(error instanceof Unavailable)) this.#parts.log.error("could not tell of a workflow", { error: String(error) });
      this.#beQuiet(id, RETRY_MS);
      this.#leaveUntold(id);
    }
  }

  #catchUp(tx: Transaction, id: string): void {
    const workflow = this.#parts.workflows.get(id);
    // It may have ended meanwhile, which was told at once.
    if (workflow && this.#quiet.get(id)?.untold) this.#tell(tx, workflow, this.#parts.clock.now());
    else this.#quiet.delete(id);
  }
}
