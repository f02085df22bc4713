import type { Definitions } from "./ports/definitions.ts";
import type { Notifier } from "./ports/notices.ts";
import type { Clock, Log } from "./ports/runtime.ts";
import type { TaskStore, UnitOfWork } from "./ports/tasks.ts";
import type { WorkflowStore } from "./ports/workflows.ts";
import type { Dispatcher } from "./services/dispatcher.ts";
import { MemberInputs } from "./services/member-inputs.ts";
import { Members } from "./services/members.ts";
import type { Quotas } from "./services/quotas.ts";
import { UniqueKeys } from "./services/unique-keys.ts";
import { WorkflowFeed } from "./services/workflow-feed.ts";
import { WorkflowIntake } from "./services/workflow-intake.ts";

interface Parts {
  readonly store: TaskStore;
  readonly workflows: WorkflowStore;
  readonly work: UnitOfWork;
  readonly dispatcher: Dispatcher;
  readonly definitions: Definitions;
  readonly notifier: Notifier;
  readonly quotas: Quotas;
  readonly onPutOff: (runAt: number) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** What decides how the tasks of a workflow follow each other; whoever stores transitions needs it. */
export function openWorkflows(parts: Parts) {
  const unique = new UniqueKeys(parts);
  const feed = new WorkflowFeed(parts);
  const inputs = new MemberInputs({ ...parts, unique });
  const members = new Members({ ...parts, inputs, unique, feed });
  const intake = new WorkflowIntake({ ...parts, unique, feed });
  return { unique, feed, members, intake };
}
