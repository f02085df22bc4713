import { expect } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { PROBLEM_TYPE, type Problem, ProblemSchema } from "../../src/http/problem.ts";

export interface SeenProblem {
  readonly status: number;
  readonly code: string;
  /** Of `errors`, sorted. */
  readonly paths: string[];
  readonly text: string;
}

/** Checks the form of an error answer and gives what tells it apart. */
export async function problem(response: Response): Promise<SeenProblem> {
  const text = await response.text();
  expect(response.headers.get("content-type")).toBe(PROBLEM_TYPE);
  const body = JSON.parse(text) as Problem;
  expect(Value.Check(ProblemSchema, body)).toBe(true);
  expect(body.status).toBe(response.status);
  if (response.status === 401) expect(response.headers.get("www-authenticate")).toStartWith("Bearer");
  if (response.status === 429) expect(Number(response.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  return { status: response.status, code: body.code, paths: (body.errors ?? []).map(({ path }) => path).sort(), text };
}
