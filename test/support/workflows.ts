/** Workflows of any form, and what becomes of them by the rules alone: no joints, no rows, the tree as it is written. */
import fc from "fast-check";
import type { Status } from "../../src/domain/task.ts";

export interface Step {
  readonly task: string;
  readonly input: { readonly name: string; readonly got?: unknown };
}
export type Node =
  | Step
  | { readonly chain: readonly Node[] }
  | { readonly group: readonly Node[] }
  | { readonly chord: readonly Node[]; readonly then: Node };
export type Tree = Exclude<Node, Step>;

type Form = { readonly kind: "step" | "chain" | "group" | "chord"; readonly inner: readonly Form[] };

const forms = fc.letrec<{ form: Form; deep: Form }>((tie) => ({
  form: fc.oneof({ maxDepth: 4, withCrossShrink: true }, fc.constant<Form>({ kind: "step", inner: [] }), tie("deep")),
  deep: fc.record({
    kind: fc.constantFrom("chain", "group", "chord"),
    inner: fc.array(tie("form"), { minLength: 1, maxLength: 4 }),
  }),
}));

/** Steps are named s0, s1, … in the order in which they are written; each passes on what it got. */
export const trees: fc.Arbitrary<Tree> = forms.deep.map((form) => {
  let steps = 0;
  const build = ({ kind, inner }: Form, after: boolean): Node => {
    if (kind === "step") {
      const name = `s${steps++}`;
      return { task: "job", input: after ? { name, got: { $result: "" } } : { name } };
    }
    if (kind === "group") return { group: inner.map((each) => build(each, after)) };
    if (kind === "chain") return { chain: inner.map((each, i) => build(each, after || i > 0)) };
    const members = inner.map((each) => build(each, after));
    return { chord: members, then: build({ kind: "step", inner: [] }, true) };
  };
  return build(form, false) as Tree;
});

export function stepsOf(node: Node): Step[] {
  if ("task" in node) return [node];
  if ("chain" in node) return node.chain.flatMap(stepsOf);
  if ("group" in node) return node.group.flatMap(stepsOf);
  return [...node.chord, node.then].flatMap(stepsOf);
}

/** What a node came to; undefined: it did not come to its end. */
type Came = { readonly value: unknown } | undefined;

/** How each step ends when those of `failing` fail, and what the whole comes to. */
export function outcomeOf(root: Node, failing: ReadonlySet<string>): { statuses: Map<string, Status>; value: unknown } {
  const statuses = new Map<string, Status>();
  const run = (node: Node, before: Came | "nothing"): Came => {
    if ("chain" in node) return node.chain.reduce<Came | "nothing">((last, each) => run(each, last), before) as Came;
    if ("chord" in node) return run(node.then, all(node.chord, before));
    if ("group" in node) return all(node.group, before);
    const { name } = node.input;
    const status = before === undefined ? "cancelled" : failing.has(name) ? "failed" : "done";
    statuses.set(name, status);
    if (status !== "done") return undefined;
    return { value: before === "nothing" || before === undefined ? { name } : { name, got: before.value } };
  };
  const all = (members: readonly Node[], before: Came | "nothing"): Came => {
    const came = members.map((each) => run(each, before));
    return came.every((each) => each !== undefined) ? { value: came.map((each) => each?.value) } : undefined;
  };
  const came = run(root, "nothing");
  return { statuses, value: came ? came.value : null };
}

/** By step, the steps whose end lets it go. */
export function waitsOf(root: Node): Map<string, string[]> {
  const waits = new Map<string, string[]>();
  /** @returns the last steps of the node */
  const walk = (node: Node, before: string[]): string[] => {
    if ("chain" in node) return node.chain.reduce((last, each) => walk(each, last), before);
    if ("group" in node) return node.group.flatMap((each) => walk(each, before));
    if ("chord" in node)
      return walk(
        node.then,
        node.chord.flatMap((each) => walk(each, before)),
      );
    waits.set(node.input.name, before);
    return [node.input.name];
  };
  walk(root, []);
  return waits;
}
