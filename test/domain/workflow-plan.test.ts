import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { InvalidInput } from "../../src/domain/errors.ts";
import { follow, pointerTo, tokensOf } from "../../src/domain/json-pointer.ts";
import { findReferences, renderInput } from "../../src/domain/result-reference.ts";
import { planOf, type Shape } from "../../src/domain/workflow-plan.ts";
import { stepsOf, trees, waitsOf } from "../support/workflows.ts";

const step = (task = "job", input?: unknown) => ({ task, ...(input === undefined ? {} : { input }) });
const problemsOf = (description: unknown): string[] => {
  try {
    planOf(description);
    return [];
  } catch (error) {
    return (error as InvalidInput).problems.map(({ path, message }) => `${path}: ${message}`);
  }
};
const leaves = (value: Shape<number>): number[] => (typeof value === "number" ? [value] : value.flatMap(leaves));

describe("a plan", () => {
  test("has the steps in their order, and each waits for just those that stand before it", () => {
    fc.assert(
      fc.property(trees, (tree) => {
        const { steps, joints } = planOf(tree);
        const names = steps.map(({ input }) => (input as { name: string }).name);
        expect(names).toEqual(stepsOf(tree).map(({ input }) => input.name));
        const planned = steps.map(({ waitsFor }) =>
          steps.flatMap(({ countsInto }, i) => (countsInto === waitsFor ? [names[i]] : [])),
        );
        expect(planned).toEqual([...waitsOf(tree).values()]);
        for (const [i, { pending, value }] of joints.entries()) {
          expect(pending).toBe(steps.filter(({ countsInto }) => countsInto === i).length);
          // What a joint hands on is made of those that count into it.
          expect(leaves(value)).toEqual(steps.flatMap(({ countsInto }, at) => (countsInto === i ? [at] : [])));
        }
      }),
      { numRuns: 300 },
    );
  });

  test("of 500 after 500 has 1,000 links", () => {
    const many = new Array(500).fill(step());
    const { steps, joints } = planOf({ chain: [{ group: many }, { group: many }] });
    expect([steps.length, joints.map(({ pending }) => pending)]).toEqual([1_000, [500, 500]]);
  });

  test("knows defaults, priorities and paths", () => {
    expect(planOf({ chord: [{ task: "a", priority: "high" }], then: step("b", [{ $result: "/0" }]) }).steps).toMatchObject([
      { path: "/chord/0", task: "a", input: {}, priority: "high", waitsFor: null, countsInto: 0, unresolved: false },
      { path: "/then", task: "b", priority: "normal", waitsFor: 0, countsInto: 1, unresolved: true },
    ]);
  });
});

describe("delays", () => {
  const delays = (description: unknown, delayMs?: number) => planOf(description, { delayMs }).steps.map((step) => step.delayMs);

  test("are of steps; that of the whole is of what waits for nothing, beside its own", () => {
    const described = { chain: [{ group: [{ ...step(), delay: "1.5s" }, step()] }, { ...step(), delay: "366d" }, step()] };
    expect(delays(described)).toEqual([1_500, 0, 31_622_400_000, 0]);
    expect(delays(described, 10)).toEqual([1_510, 10, 31_622_400_000, 0]);
  });
});

describe("a description is refused, with the path", () => {
  const deep = (levels: number): unknown => (levels === 0 ? step() : { group: [deep(levels - 1)] });
  test.each<[string, unknown, string[]]>([
    ["nothing", null, [": must have one of the fields task, chain, group and chord"]],
    ["a delay that is none", { chain: [{ ...step(), delay: 5 }] }, ["/chain/0/delay: must be string"]],
    ["one of too long", { chain: [{ ...step(), delay: "367d" }] }, ["/chain/0/delay: a delay can be 366d at most"]],
    ["a list", [step()], [": must have one of the fields task, chain, group and chord"]],
    ["a step alone", step(), [": must be a chain, a group or a chord; POST /tasks/{name} takes single tasks"]],
    ["two kinds at once", { chain: [step()], group: [step()] }, [": must have one of the fields task, chain, group and chord"]],
    ["an unknown field", { chain: [{ ...step(), retry: 3 }] }, ["/chain/0/retry: unknown field"]],
    ["then without a chord", { group: [step()], then: step() }, ["/then: unknown field"]],
    ["a chord without then", { chord: [step()] }, ["/then: required"]],
    ["no members", { chain: [{ group: [] }] }, ["/chain/0/group: must be an array of at least one"]],
    ["no array", { chain: step() }, ["/chain: must be an array of at least one"]],
    ["a task that is no text", { chain: [{ task: 1 }] }, ["/chain/0/task: must be string"]],
    ["a priority", { chain: [{ task: "a", priority: "now" }] }, ["/chain/0/priority: must be one of low, normal, high"]],
    ["nine levels", deep(9), [`${"/group/0".repeat(8)}: nested deeper than 8`]],
    ["too many", { group: new Array(1_001).fill(step()) }, [": more than 1000 tasks in all"]],
    [
      "a reference with nothing before",
      { group: [step("a", { x: [{ $result: "" }] })] },
      ["/group/0/input/x/0: nothing stands before this step, so there is no result to refer to"],
    ],
    [
      "references that are none",
      { chain: [step(), step("a", { "a/b": { $result: 1 }, c: { $result: "x" }, d: { $result: "", e: 1 } })] },
      [
        '/chain/1/input/a~1b: $result must be a JSON Pointer: "" or "/name", with ~1 for "/" and ~0 for "~"',
        '/chain/1/input/c: $result must be a JSON Pointer: "" or "/name", with ~1 for "/" and ~0 for "~"',
        "/chain/1/input/d: $result must be the only field",
      ],
    ],
  ])("%s", (_, description, problems) => {
    expect(problemsOf(description)).toEqual(problems);
  });

  test("but not eight levels, and not 1,000 tasks", () => {
    expect(problemsOf(deep(8))).toEqual([]);
    expect(problemsOf({ group: new Array(1_000).fill(step()) })).toEqual([]);
  });

  test("whatever it is, without another error", () => {
    const names = fc.constantFrom("task", "chain", "group", "chord", "then", "input", "priority", "$result", "x");
    const anything = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 5 }, fc.constantFrom(null, 1, "", "job", "/0"), fc.array(tie("value")), tie("object")),
      object: fc.dictionary(names, tie("value"), { maxKeys: 4 }),
    })).value;
    fc.assert(fc.property(anything, (description) => void problemsOf(description)));
  });
});

describe("references", () => {
  test("a JSON Pointer to any place leads there", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const visit = (at: unknown, pointer: string): void => {
          expect(follow(value, tokensOf(pointer) ?? ["none"])).toEqual(at);
          if (typeof at !== "object" || at === null) return;
          for (const [name, inner] of Object.entries(at)) visit(inner, pointerTo(pointer, name));
        };
        visit(value, "");
      }),
    );
  });

  test("lead nowhere past the end, through plain values, or by a name that every object has", () => {
    for (const pointer of ["/a/2", "/a/-", "/a/01", "/a/0/x", "/b", "/toString", "/__proto__", "/a/length"])
      expect(follow({ a: [1, 2] }, tokensOf(pointer) ?? [])).toBeUndefined();
  });

  test("an input without any stays as it is", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(!JSON.stringify(value).includes("$result"));
        expect(findReferences(value, "", false)).toEqual({ count: 0, problems: [] });
        expect(renderInput(value, () => "never")).toBe(JSON.stringify(value));
      }),
    );
  });

  test("are replaced wherever they stand, and what is put in is not looked at again", () => {
    const input = { list: [{ $result: "/x" }, 1], deep: { er: { $result: "" } }, __proto: "a" };
    const seen: string[] = [];
    const text = renderInput(input, (pointer, path) => {
      seen.push(`${path} ${pointer}`);
      return '{"$result":"/again"}';
    });
    expect(JSON.parse(text)).toEqual({ list: [{ $result: "/again" }, 1], deep: { er: { $result: "/again" } }, __proto: "a" });
    expect(seen).toEqual(["/list/0 /x", "/deep/er "]);
  });
});
