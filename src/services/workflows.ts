import { type ArtelError, Conflict, type InputProblem, InvalidInput, NotFound } from "../domain/errors.ts";
import { pointerTo } from "../domain/json-pointer.ts";
import * as life from "../domain/task.ts";
import { statusOf } from "../domain/workflow.ts";
import { type Plan, type PlannedStep, planOf } from "../domain/workflow-plan.ts";
import type { BrokerHub } from "../ports/broker.ts";
import type { Definitions, KnownTask } from "../ports/definitions.ts";
import type { Clock } from "../ports/runtime.ts";
import type { StoredTask, UnitOfWork } from "../ports/tasks.ts";
import type { Repeatable, StoredWorkflow, WorkflowPage, WorkflowStore } from "../ports/workflows.ts";
import { HandedOn, TooLarge } from "./handed-on.ts";
import type { Members } from "./members.ts";
import type { Quotas } from "./quotas.ts";
import type { Recorder } from "./recorder.ts";
import { type Caller, mayTouch, type SubmitOptions } from "./tasks.ts";
import { Transitions } from "./transitions.ts";
import { digestOf } from "./unique-keys.ts";
import type { CheckedStep, WorkflowIntake } from "./workflow-intake.ts";

/** Of inputs that do not fit, so many problems are told. */
const PROBLEMS_MAX = 20;

export interface AcceptedWorkflow {
  readonly id: string;
  /** In the order in which the steps are written. */
  readonly taskIds: readonly string[];
}

export interface WorkflowView {
  readonly workflow: StoredWorkflow;
  /** In the order in which the steps are written. */
  readonly members: readonly StoredTask[];
  /** JSON text; null until it is done, and where it is left out. */
  readonly result: string | null;
  /** The result is there, but too large to be shown. */
  readonly truncated: boolean;
}

export interface WorkflowListQuery {
  /** An account's key, or "all"; admins only. Default: the caller's own. */
  readonly owner?: number | "all";
  readonly before?: number;
  readonly limit: number;
}

type TransitionParts = ConstructorParameters<typeof Transitions>[0];

interface Parts extends TransitionParts {
  readonly workflows: WorkflowStore;
  readonly work: UnitOfWork;
  readonly definitions: Definitions;
  readonly intake: WorkflowIntake;
  readonly members: Members;
  readonly recorder: Recorder;
  readonly hub: BrokerHub;
  readonly quotas: Quotas;
  readonly clock: Clock;
}

/** What users do with workflows. Whatever it answers has been committed. */
export class Workflows {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Before outcomes are recorded: members that are let go have their inputs checked within a transaction, which cannot wait. */
  async start(): Promise<void> {
    if (this.#parts.workflows.any()) await this.#parts.definitions.prepare();
  }

  /**
   * Accepts a workflow: all of its tasks or none.
   *
   * @param options the delay is of what waits for nothing else, beside its own; the priority of steps that say none; repeats with
   *   the same key and description, by the same caller, get the first one's workflow
   * @throws InvalidInput `invalid_input`; Conflict `idempotency_conflict`, `not_unique`; TooMany `queue_full`; Unavailable
   */
  async submit(caller: Caller, description: unknown, options: SubmitOptions = {}): Promise<AcceptedWorkflow> {
    const plan = planOf(description, options);
    const { idempotencyKey: key } = options;
    // Before checking, which fills in defaults.
    const repeatable = key === undefined ? undefined : { key, digest: digestOf(description) };
    await this.#parts.definitions.prepare();
    const steps = await this.#check(plan);
    return await this.#parts.work.grouped((tx) => {
      const repeated = repeatable && this.#repeated(caller, repeatable);
      return repeated ?? this.#parts.intake.accept(tx, caller, { steps, joints: plan.joints, repeatable });
    });
  }

  list(caller: Caller, query: WorkflowListQuery): WorkflowPage {
    const owner = query.owner === undefined || !caller.admin ? caller.n : query.owner;
    return this.#parts.workflows.page({ ...query, owner: owner === "all" ? undefined : owner });
  }

  /** @throws NotFound `workflow_not_found`, for somebody else's too */
  show(caller: Caller, id: string): WorkflowView {
    const workflow = this.#own(caller, id);
    const members = this.#parts.workflows.members(workflow).map((task) => this.#parts.recorder.current(task));
    return { workflow, members, ...this.#resultOf(workflow) };
  }

  /**
   * Asks every member that has not ended to stop: at once where it waits, as soon as its worker has stopped it where it runs.
   *
   * @throws NotFound `workflow_not_found`; Conflict `workflow_ended`
   */
  async cancel(caller: Caller, id: string): Promise<WorkflowView> {
    const { workflows, work, recorder, hub, clock } = this.#parts;
    await work.grouped((tx) => {
      const workflow = this.#own(caller, id);
      const status = statusOf(workflow.counts);
      if (status !== "in progress") throw new Conflict("workflow_ended", `the workflow is ${status} already`);
      const now = clock.now();
      const transitions = new Transitions(this.#parts, tx);
      const open = workflows.members(workflow).filter((task) => !life.isTerminal(task.status));
      for (const task of open.map((each) => recorder.current(each))) {
        if (task.status !== "in progress") transitions.stage(task, life.cancel(task, now), null, now);
        else if (!task.cancelRequested) transitions.stage(task, life.requestCancel(task), null, now);
      }
      transitions.store();
      const dispatched = open.filter((task) => task.dispatched).map((task) => task.id);
      // What the broker does not hear now, the reconciler tells it.
      if (dispatched.length > 0) tx.afterCommit(() => void hub.cancel(dispatched).catch(() => {}));
    });
    return this.show(caller, id);
  }

  /**
   * Runs all members that failed or were cancelled once more, each when those before it are done.
   *
   * @throws NotFound `workflow_not_found`; Conflict `workflow_not_ended`, `not_unique`; TooMany `queue_full`
   */
  async retry(caller: Caller, id: string): Promise<WorkflowView> {
    const { workflows, work, definitions, members, quotas, clock } = this.#parts;
    await definitions.prepare();
    await work.grouped((tx) => {
      const workflow = this.#own(caller, id);
      const status = statusOf(workflow.counts);
      if (status !== "failed" && status !== "cancelled") {
        throw new Conflict("workflow_not_ended", `only a failed or cancelled workflow can be retried; this one is ${status}`);
      }
      const unfinished = workflows.members(workflow).filter((task) => task.status !== "done");
      quotas.check(workflow.owner, unfinished.length);
      const now = clock.now();
      const transitions = new Transitions(this.#parts, tx);
      for (const task of unfinished) members.retry(transitions, task, now);
      transitions.store();
    });
    return this.show(caller, id);
  }

  /** @throws InvalidInput `invalid_input` with all that is wrong with all steps; Unavailable where a schema's code cannot be run */
  async #check({ steps }: Plan): Promise<readonly CheckedStep[]> {
    // Begun together: code that checks gets them as one.
    const checks = steps.map((step) => this.#checkStep(step));
    const problems = (await Promise.all(checks.map(({ problems }) => problems))).flat();
    const checked = steps.flatMap((step, i) => {
      const policy = checks[i]?.known?.policy;
      return policy ? [{ ...step, policy, args: JSON.stringify(step.input) }] : [];
    });
    if (problems.length === 0) return checked;
    throw new InvalidInput("invalid_input", "the steps do not fit their tasks", problems.slice(0, PROBLEMS_MAX));
  }

  #checkStep(step: PlannedStep): { known?: KnownTask; problems: readonly InputProblem[] | Promise<readonly InputProblem[]> } {
    const known = this.#parts.definitions.get(step.task);
    if (!known) return { problems: [{ path: pointerTo(step.path, "task"), message: `there is no task "${step.task}"` }] };
    // What is yet to be put in is checked when it is.
    if (step.unresolved) return { known, problems: [] };
    const problems = known.check(step.input);
    const placed = (found: readonly InputProblem[]) => found.map((problem) => inStep(step, problem));
    return { known, problems: problems instanceof Promise ? problems.then(placed) : placed(problems) };
  }

  #repeated(caller: Caller, { key, digest }: Repeatable): AcceptedWorkflow | undefined {
    const earlier = this.#parts.workflows.byIdempotencyKey(caller.n, key);
    if (!earlier) return undefined;
    if (earlier.digest !== digest)
      throw new Conflict("idempotency_conflict", "this Idempotency-Key was used with another workflow");
    return { id: earlier.id, taskIds: this.#parts.workflows.memberIds(earlier.id) };
  }

  #resultOf(workflow: StoredWorkflow): { result: string | null; truncated: boolean } {
    const { workflows } = this.#parts;
    if (statusOf(workflow.counts) !== "done") return { result: null, truncated: false };
    try {
      const value = new HandedOn(workflows, workflows.valueOf(workflows.endOf(workflow)));
      return { result: value.text("") ?? null, truncated: false };
    } catch (error) {
      if (error instanceof TooLarge) return { result: null, truncated: true };
      throw error;
    }
  }

  #own(caller: Caller, id: string): StoredWorkflow {
    const workflow = this.#parts.workflows.get(id);
    if (!workflow || !mayTouch(caller, workflow)) throw notFound();
    return workflow;
  }
}

const inStep = ({ path }: PlannedStep, problem: InputProblem): InputProblem => ({
  path: `${pointerTo(path, "input")}${problem.path}`,
  message: problem.message,
});

/** One answer for what is not there and for what is somebody else's. */
const notFound = (): ArtelError => new NotFound("workflow_not_found", "there is no such workflow");
