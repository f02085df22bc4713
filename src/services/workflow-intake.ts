import type { TaskPolicy } from "../domain/definition.ts";
import * as life from "../domain/task.ts";
import { beginWorkflow } from "../domain/workflow.ts";
import type { Plan, PlannedStep, Shape } from "../domain/workflow-plan.ts";
import type { Notifier } from "../ports/notices.ts";
import type { Clock } from "../ports/runtime.ts";
import type { TaskStore, Transaction } from "../ports/tasks.ts";
import type { Repeatable, StoredWorkflow, WorkflowStore } from "../ports/workflows.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Quotas } from "./quotas.ts";
import type { Caller } from "./tasks.ts";
import { notUnique, type UniqueKeys, uniqueKey } from "./unique-keys.ts";
import type { WorkflowFeed } from "./workflow-feed.ts";

/** A step whose task is known and whose input, where it is complete, fits it. */
export interface CheckedStep extends PlannedStep {
  readonly policy: TaskPolicy;
  /** JSON text. */
  readonly args: string;
}

export interface CheckedWorkflow {
  readonly steps: readonly CheckedStep[];
  readonly joints: Plan["joints"];
  readonly repeatable: Repeatable | undefined;
}

interface Parts {
  readonly store: TaskStore;
  readonly workflows: WorkflowStore;
  readonly dispatcher: Dispatcher;
  readonly quotas: Quotas;
  readonly unique: UniqueKeys;
  readonly feed: WorkflowFeed;
  readonly notifier: Notifier;
  readonly clock: Clock;
  /** Told when a task has been put off to a time. */
  readonly onPutOff: (runAt: number) => void;
}

/** Makes rows of a workflow that has been checked: tasks that queue, tasks that are held, and the joints between them. */
export class WorkflowIntake {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Throws Conflict `not_unique`, TooMany `queue_full`; the transaction is to be undone then. */
  accept(tx: Transaction, caller: Caller, checked: CheckedWorkflow): { id: string; taskIds: readonly string[] } {
    const { store, quotas, clock } = this.#parts;
    quotas.check(caller.n, checked.steps.length);
    const now = clock.now();
    const id = store.newId(now);
    const taskIds = checked.steps.map(() => store.newId(now));
    const { workflow, joints } = this.#insert(caller, id, taskIds, checked, now);
    this.#parts.feed.began(tx, workflow, now);
    for (const [i, step] of checked.steps.entries()) this.#acceptStep(tx, workflow, taskIds[i] ?? "", step, joints, now);
    return { id, taskIds };
  }

  #insert(caller: Caller, id: string, taskIds: readonly string[], { steps, joints, repeatable }: CheckedWorkflow, now: number) {
    const { store, workflows } = this.#parts;
    const statuses = steps.map(({ waitsFor, delayMs }) => (waitsFor === null && delayMs === 0 ? "queued" : "scheduled"));
    const withIds = (value: Shape<number>): Shape<string> =>
      typeof value === "number" ? (taskIds[value] ?? "") : value.map(withIds);
    return workflows.insert(
      beginWorkflow({ id, owner: caller.n, statuses }, now),
      store.nextSeq(),
      caller.id,
      joints.map(({ pending, value }) => ({ pending, value: withIds(value) })),
      repeatable,
    );
  }

  #acceptStep(
    tx: Transaction,
    workflow: StoredWorkflow,
    id: string,
    { policy, args, priority, delayMs, unresolved, waitsFor, countsInto }: CheckedStep,
    joints: readonly number[],
    now: number,
  ): void {
    const { store, workflows, dispatcher, unique, notifier, onPutOff } = this.#parts;
    const { owner, ownerId } = workflow;
    const key = unresolved ? undefined : uniqueKey(policy, owner, args);
    const twin = key === undefined ? undefined : unique.pending(key);
    if (twin) throw notUnique(twin);
    const { name, queue, retry } = policy;
    const accepted = life.accept({ id, owner, name, queue, priority, maxAttempts: retry.maxAttempts, delayMs }, now);
    const placed = waitsFor === null ? dispatcher.place(accepted) : life.hold(accepted);
    const task = store.insert(placed, store.nextSeq(), ownerId, args, null, workflow.id);
    workflows.addMember(workflow, task, {
      waitsFor: waitsFor === null ? null : (joints[waitsFor] ?? null),
      countsInto: joints[countsInto] ?? 0,
      delayMs,
      unresolved,
    });
    if (key !== undefined) unique.give(key, task);
    dispatcher.follow(tx, null, task, args);
    tx.afterCommit(() => {
      notifier.transition(task, null, now);
      if (task.status === "scheduled") onPutOff(task.runAt);
    });
  }
}
