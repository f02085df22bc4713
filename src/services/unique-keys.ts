import type { TaskPolicy } from "../domain/definition.ts";
import { Conflict } from "../domain/errors.ts";
import { isTerminal } from "../domain/task.ts";
import { canonical, uniqueText } from "../domain/unique.ts";
import type { Definitions } from "../ports/definitions.ts";
import type { StoredTask, TaskStore } from "../ports/tasks.ts";
import type { Transitions } from "./transitions.ts";

type Staged = Pick<Transitions, "get">;

/** Who has the keys of which only one task may have each while it waits or runs. */
export class UniqueKeys {
  readonly #store: TaskStore;
  readonly #definitions: Definitions;

  constructor({ store, definitions }: { store: TaskStore; definitions: Definitions }) {
    this.#store = store;
    this.#definitions = definitions;
  }

  /** The task that has this key and has not ended. @param staged what the transaction makes of tasks and has not stored yet */
  pending(key: string, staged?: Staged): StoredTask | undefined {
    const holder = this.#store.byUniqueKey(key);
    const task = holder && (staged?.get(holder.id) ?? holder);
    return task && !isTerminal(task.status) ? task : undefined;
  }

  /** It is the task's from now on. */
  give(key: string, task: StoredTask): void {
    this.#store.giveKey(key, task);
  }

  /**
   * A task that begins anew, or whose args are complete only now, needs the key of its args.
   *
   * @param staged as of `pending`
   * @param args JSON text; default: those of its row
   * @throws Conflict `not_unique` where another one has it
   */
  take(task: StoredTask, staged: Staged, args?: string): void {
    const policy = this.#definitions.get(task.name)?.policy;
    const text = policy?.unique && (args ?? this.#store.withBody(task.id)?.args);
    if (!policy || text === undefined) return;
    const key = uniqueKey(policy, task.owner, text) ?? "";
    const other = this.pending(key, staged);
    if (other && other.id !== task.id) throw notUnique(other);
    this.#store.giveKey(key, task);
  }
}

/** Undefined: the task need not be the only one of its kind. */
export function uniqueKey({ name, unique }: TaskPolicy, owner: number, args: string): string | undefined {
  if (unique === undefined) return undefined;
  return hashOf(`${owner}\n${name}\n${uniqueText(unique, JSON.parse(args))}`);
}

/** SHA-256 of JSON, in hex: the same whatever the order of its fields. */
export const digestOf = (value: unknown): string => hashOf(canonical(value));

const hashOf = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");

export const notUnique = (other: StoredTask): Conflict =>
  new Conflict("not_unique", `the task ${other.id} with the same input has not ended`);
