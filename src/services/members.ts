import * as life from "../domain/task.ts";
import { followMember, whyAbandoned } from "../domain/workflow.ts";
import type { Clock } from "../ports/runtime.ts";
import type { StoredTask, TaskStore, Transaction } from "../ports/tasks.ts";
import type { Joint, Membership, StoredWorkflow, WorkflowStore } from "../ports/workflows.ts";
import { HandedOn } from "./handed-on.ts";
import type { MemberInputs } from "./member-inputs.ts";
import type { Change, MemberChanges, MemberRules, Transitions } from "./transitions.ts";
import type { UniqueKeys } from "./unique-keys.ts";
import type { WorkflowFeed } from "./workflow-feed.ts";

interface Parts {
  readonly store: TaskStore;
  readonly workflows: WorkflowStore;
  readonly inputs: MemberInputs;
  readonly unique: UniqueKeys;
  readonly feed: WorkflowFeed;
  readonly clock: Clock;
  /** Told when a task has been put off to a time. */
  readonly onPutOff: (runAt: number) => void;
}

/**
 * How the tasks of a workflow follow each other: what waits for a task is let go once that and those beside it are done,
 * or is cancelled once one of them has failed or was cancelled. Decided in the transaction that stores the outcome, at the
 * cost of one row an outcome: a joint counts what stands before it.
 */
export class Members implements MemberRules {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  begin(transitions: Transitions, tx: Transaction): MemberChanges {
    return new Following(this.#parts, transitions, tx);
  }

  /** Whether a task before it failed or was cancelled, so that it would wait for ever. */
  isBlocked(task: StoredTask): boolean {
    const waitsFor = this.#parts.workflows.membership(task)?.waitsFor ?? null;
    return waitsFor !== null && this.#parts.workflows.joint(waitsFor).bad > 0;
  }

  /**
   * A member that failed or was cancelled begins anew: it queues if what it waits for is done, whatever its delay, else it is held.
   *
   * @throws Conflict `not_unique` where another task took its place
   */
  retry(transitions: Transitions, task: StoredTask, now: number): void {
    const { workflows, unique } = this.#parts;
    const membership = membershipOf(workflows, task);
    if (membership.abandoned) workflows.setMembership(task, { abandoned: false });
    if (!membership.unresolved) unique.take(task, transitions);
    const again = life.retryByOwner(task, now);
    const joint = membership.waitsFor === null ? undefined : workflows.joint(membership.waitsFor);
    const ready = joint === undefined || (joint.pending === 0 && joint.bad === 0);
    if (ready && !membership.unresolved) return void transitions.stage(task, again, null, now);
    const held = transitions.stage(task, life.hold(again), null, now);
    if (ready) release(this.#parts, transitions, held, { ...membership, delayMs: 0 }, now);
  }
}

/** What has been counted into a joint in one round. */
interface Counted {
  readonly wasBad: boolean;
  joint: Joint;
  /** The first one that ended badly. */
  cause: StoredTask | undefined;
}

/** What follows from the changes of one transaction. */
class Following implements MemberChanges {
  readonly #parts: Parts;
  readonly #transitions: Transitions;
  readonly #tx: Transaction;
  readonly #now: number;
  readonly #workflows = new Map<string, StoredWorkflow>();

  constructor(parts: Parts, transitions: Transitions, tx: Transaction) {
    this.#parts = parts;
    this.#transitions = transitions;
    this.#tx = tx;
    this.#now = parts.clock.now();
  }

  follow(changes: readonly Change[]): void {
    const joints = new Map<number, Counted>();
    for (const { before, after } of changes) {
      if (before.status === after.status && !life.isTerminal(after.status)) continue;
      this.#countMember(before, after);
      this.#countOutcome(before, after, joints);
    }
    for (const [joint, counted] of joints) this.#react(joint, counted);
  }

  store(): void {
    for (const workflow of this.#workflows.values()) this.#parts.feed.changed(this.#tx, workflow, this.#now);
  }

  #countMember(before: StoredTask, after: StoredTask): void {
    const id = after.workflow ?? "";
    const workflow = this.#workflows.get(id) ?? this.#parts.workflows.get(id);
    if (workflow) this.#workflows.set(id, followMember(workflow, before, after));
  }

  #countOutcome(before: StoredTask, after: StoredTask, joints: Map<number, Counted>): void {
    const pending = isPending(after) - isPending(before);
    const bad = isBad(after) - isBad(before);
    if (pending === 0 && bad === 0) return;
    const { countsInto } = membershipOf(this.#parts.workflows, after);
    const joint = this.#parts.workflows.countInto(countsInto, pending, bad);
    const counted = joints.get(countsInto) ?? { wasBad: joint.bad - bad > 0, joint, cause: undefined };
    counted.joint = joint;
    if (bad > 0) counted.cause ??= after;
    joints.set(countsInto, counted);
  }

  #react(joint: number, { wasBad, joint: { pending, bad }, cause }: Counted): void {
    if (bad > 0 && !wasBad && cause) this.#abandonWaiters(joint, cause);
    if (bad === 0 && wasBad) this.#reviveWaiters(joint);
    if (bad === 0 && pending === 0) this.#releaseWaiters(joint);
  }

  #abandonWaiters(joint: number, cause: StoredTask): void {
    const { workflows } = this.#parts;
    // Where that was itself cancelled because of another one, it says of which.
    const why = membershipOf(workflows, cause).abandoned ? (cause.error?.message ?? "") : whyAbandoned(cause);
    for (const waiter of this.#waiters(joint)) {
      if (!life.isHeld(waiter)) continue;
      workflows.setMembership(waiter, { abandoned: true });
      this.#transitions.stage(waiter, life.abandon(waiter, this.#now, why), null, this.#now);
    }
  }

  /** Those that were cancelled because of a task that runs again now, and because of no other. */
  #reviveWaiters(joint: number): void {
    const { workflows } = this.#parts;
    for (const waiter of this.#waiters(joint)) {
      if (waiter.status !== "cancelled" || !membershipOf(workflows, waiter).abandoned) continue;
      workflows.setMembership(waiter, { abandoned: false });
      this.#transitions.stage(waiter, life.hold(life.retryByOwner(waiter, this.#now)), null, this.#now);
    }
  }

  #releaseWaiters(joint: number): void {
    const { workflows } = this.#parts;
    const handedOn = new HandedOn(workflows, workflows.valueOf(joint));
    for (const waiter of this.#waiters(joint)) {
      if (!life.isHeld(waiter)) continue;
      release(this.#parts, this.#transitions, waiter, membershipOf(workflows, waiter), this.#now, handedOn);
    }
  }

  #waiters(joint: number): StoredTask[] {
    return this.#parts.workflows.waitersOf(joint).map((waiter) => this.#transitions.get(waiter.id) ?? waiter);
  }
}

/** Lets a held task go, with the value of what stands before it; it fails at once where that does not fit it. */
function release(
  { store, workflows, inputs, onPutOff }: Parts,
  transitions: Transitions,
  task: StoredTask,
  { unresolved, waitsFor, delayMs }: Membership,
  now: number,
  handedOn = new HandedOn(workflows, workflows.valueOf(waitsFor ?? 0)),
): void {
  const input = inputs.complete(task, transitions, unresolved, handedOn);
  if ("failure" in input) return void transitions.stage(task, life.fail(task, now, input.failure), null, now);
  if (input.args !== null) {
    store.replaceArgs(task, input.args);
    workflows.setMembership(task, { unresolved: false });
  }
  transitions.stage(task, life.letGo(task, now, delayMs), null, now);
  // Nothing is lost where the transaction is undone: who looks in vain then looks again at the right time.
  if (delayMs > 0) onPutOff(now + delayMs);
}

function membershipOf(workflows: WorkflowStore, task: StoredTask): Membership {
  const membership = workflows.membership(task);
  if (!membership) throw new Error(`the task ${task.id} is no member of a workflow`);
  return membership;
}

const isPending = ({ status }: StoredTask): number => (life.isTerminal(status) ? 0 : 1);
const isBad = ({ status }: StoredTask): number => (status === "failed" || status === "cancelled" ? 1 : 0);
