/**
 * References from a task's input to the value of what stands before it in its workflow: an object whose one field is
 * `$result`, a JSON Pointer into that value. They are put in as text, so that no large value is copied to be written.
 */
import type { InputProblem } from "./errors.ts";
import { pointerTo, tokensOf } from "./json-pointer.ts";

const FIELD = "$result";

/** The references in an input, and what is wrong with them. */
export interface References {
  readonly count: number;
  readonly problems: readonly InputProblem[];
}

/**
 * @param path of the input, for problems
 * @param allowed whether something stands before the task
 */
export function findReferences(input: unknown, path: string, allowed: boolean): References {
  const problems: InputProblem[] = [];
  let count = 0;
  const look = (value: unknown, at: string): void => {
    if (!isBranch(value)) return;
    if (!isReference(value)) return walk(value, at, look);
    count += 1;
    const message = allowed ? faultOf(value) : "nothing stands before this step, so there is no result to refer to";
    if (message !== undefined) problems.push({ path: at, message });
  };
  look(input, path);
  return { count, problems };
}

/**
 * The input with every reference replaced, as JSON text.
 *
 * @param textOf the value that a pointer leads to, as JSON text; it throws where that is nowhere, told where it stands
 */
export function renderInput(input: unknown, textOf: (pointer: string, path: string) => string): string {
  const render = (value: unknown, at: string): string => {
    if (!isBranch(value)) return JSON.stringify(value);
    if (isReference(value)) return textOf(String(value[FIELD]), at);
    if (Array.isArray(value)) return `[${value.map((each, i) => render(each, pointerTo(at, i))).join(",")}]`;
    const fields = Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}:${render(each, pointerTo(at, name))}`);
    return `{${fields.join(",")}}`;
  };
  return render(input, "");
}

type Branch = readonly unknown[] | Readonly<Record<string, unknown>>;

const isBranch = (value: unknown): value is Branch => typeof value === "object" && value !== null;

const isReference = (value: Branch): value is Readonly<Record<string, unknown>> =>
  !Array.isArray(value) && Object.hasOwn(value, FIELD);

function faultOf(reference: Readonly<Record<string, unknown>>): string | undefined {
  if (Object.keys(reference).length > 1) return `${FIELD} must be the only field`;
  const pointer = reference[FIELD];
  if (typeof pointer === "string" && tokensOf(pointer) !== undefined) return undefined;
  return `${FIELD} must be a JSON Pointer: "" or "/name", with ~1 for "/" and ~0 for "~"`;
}

function walk(value: Branch, path: string, visit: (value: unknown, path: string) => void): void {
  for (const [name, each] of Object.entries(value)) visit(each, pointerTo(path, name));
}
