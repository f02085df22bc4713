import { InvalidInput } from "../domain/errors.ts";

const NAME = /^[a-z0-9][a-z0-9_.-]{0,63}$/;
/** Paths under /tasks that are routes of their own. */
const RESERVED = new Set(["definitions"]);

/** @throws InvalidInput `invalid_definition` when `name` cannot stand in a route */
export function checkTaskName(name: string): void {
  if (typeof name !== "string" || !NAME.test(name)) {
    throw new InvalidInput("invalid_definition", `"${name}" is no task name: it must match ${NAME.source}`);
  }
  if (RESERVED.has(name)) throw new InvalidInput("invalid_definition", `"${name}" is a reserved task name`);
}
