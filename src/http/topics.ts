import type { Notifier } from "../ports/notices.ts";
import type { StoredTask } from "../ports/tasks.ts";
import type { StoredWorkflow } from "../ports/workflows.ts";
import { noticeJson, tooLargeForNotice } from "./views.ts";
import { workflowNoticeJson } from "./workflow-views.ts";

/** Bun's publishing side of a server. */
export interface Publisher {
  publish(topic: string, data: string): number;
}

/** Names of native topics. Each holds tasks and workflows of one owner alone, but for the admins' one. */
export const nativeTopic = {
  owner: (ownerId: string) => `owner:${ownerId}`,
  task: (taskId: string) => `task:${taskId}`,
  workflow: (workflowId: string) => `workflow:${workflowId}`,
  all: "tasks",
} as const;

/**
 * Publishes what happens to tasks and workflows on native topics: one string a notice, whoever listens, and none at all where nobody
 * does. A socket follows topics that do not overlap (see Follower), so it hears everything once.
 */
export class Topics implements Notifier {
  #publisher: Publisher | undefined;
  readonly #followers = new Map<string, number>();

  /** The server is there only once it listens. */
  attach(publisher: Publisher): void {
    this.#publisher = publisher;
  }

  /** A socket has begun to follow a native topic. */
  followed(topic: string): void {
    this.#followers.set(topic, (this.#followers.get(topic) ?? 0) + 1);
  }

  /** A socket follows a native topic no more. */
  left(topic: string): void {
    const count = (this.#followers.get(topic) ?? 0) - 1;
    if (count > 0) this.#followers.set(topic, count);
    else this.#followers.delete(topic);
  }

  transition(task: StoredTask, result: string | null, at: number): void {
    this.#publish(task, nativeTopic.task(task.id), () => {
      const truncated = tooLargeForNotice(result);
      return noticeJson(task, truncated ? null : result, truncated, at);
    });
  }

  progress(task: StoredTask, at: number): void {
    this.#publish(task, nativeTopic.task(task.id), () => noticeJson(task, null, false, at));
  }

  workflow(workflow: StoredWorkflow, at: number): void {
    this.#publish(workflow, nativeTopic.workflow(workflow.id), () => workflowNoticeJson(workflow, at));
  }

  #publish({ ownerId }: { readonly ownerId: string }, own: string, text: () => string): void {
    if (this.#followers.size === 0) return;
    const topics = [nativeTopic.owner(ownerId), own, nativeTopic.all].filter((topic) => this.#followers.has(topic));
    if (topics.length === 0) return;
    const notice = text();
    for (const topic of topics) this.#publisher?.publish(topic, notice);
  }
}
