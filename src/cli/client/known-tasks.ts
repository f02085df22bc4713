import { shortId, type TaskState } from "./show.ts";
import { standsFor } from "./task-id.ts";

/** So many are remembered; those first heard of go first. */
const MAX = 2_000;

export type KnownTask = TaskState & { readonly seq: number };

interface Entry {
  readonly task: KnownTask;
  /** The status and attempt that a notice told last. */
  readonly told: string | undefined;
}

/** The user's tasks as far as they have been heard of, each in its latest state. */
export class KnownTasks {
  readonly #tasks = new Map<string, Entry>();

  /** What an answer says; a notice of the same state or of a later one knows better. */
  learn(task: KnownTask): void {
    const known = this.#tasks.get(task.task_id);
    if (known === undefined || known.task.seq < task.seq) this.#keep(task, known?.told);
  }

  /** Progress. */
  hear(task: KnownTask): void {
    const known = this.#tasks.get(task.task_id);
    if (known === undefined || known.task.seq <= task.seq) this.#keep(task, known?.told);
  }

  /**
   * A stored transition. An answer may have known of it, or of later ones, before it is told.
   *
   * @returns whether it has another status or attempt than was told last
   */
  hearChange(task: KnownTask): boolean {
    const known = this.#tasks.get(task.task_id);
    const told = tellingOf(task);
    this.#keep(known !== undefined && known.task.seq > task.seq ? known.task : task, told);
    return known?.told !== told;
  }

  /** Whether a notice has told of this state. */
  isTold(task: KnownTask): boolean {
    return this.#tasks.get(task.task_id)?.told === tellingOf(task);
  }

  get(id: string): KnownTask | undefined {
    return this.#tasks.get(id)?.task;
  }

  forget(): void {
    this.#tasks.clear();
  }

  /** Newest first: ids begin with the time of their making. */
  latest(limit: number): KnownTask[] {
    return this.#sorted()
      .slice(0, limit)
      .flatMap((id) => this.get(id) ?? []);
  }

  running(): KnownTask[] {
    return [...this.#tasks.values()].map(({ task }) => task).filter(({ status }) => status === "in progress");
  }

  /** The ids that somebody can mean by a word. */
  meantBy(word: string): string[] {
    const small = word.toLowerCase();
    if (this.#tasks.has(small)) return [small];
    return this.#sorted().filter((id) => standsFor(small, id));
  }

  /** The ids that a word can become: short ones, newest first, where one of them begins so; else whole ones. */
  completions(word: string): readonly string[] {
    const ids = this.#sorted();
    const short = ids.map(shortId);
    return short.some((id) => id.startsWith(word)) ? short : ids;
  }

  /** No more of it than lists and notices show: results may be large. */
  #keep({ task_id, name, status, progress, message, attempt, error, seq }: KnownTask, told: string | undefined): void {
    this.#tasks.set(task_id, { task: { task_id, name, status, progress, message, attempt, error, seq }, told });
    const [oldest] = this.#tasks.keys();
    if (this.#tasks.size > MAX && oldest !== undefined) this.#tasks.delete(oldest);
  }

  #sorted(): string[] {
    return [...this.#tasks.keys()].sort().reverse();
  }
}

const tellingOf = ({ status, attempt }: KnownTask): string => `${status} ${attempt}`;
