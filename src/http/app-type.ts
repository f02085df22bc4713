import type { Elysia } from "elysia";
import type { Problem } from "./problem.ts";

/** What any route may answer in place of what it is for. */
type ProblemStatus = 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 422 | 429 | 500 | 503;

/** Elysia adds what its own validation would answer with 422; here a problem takes its place, as everywhere. */
type WithProblems<Answers> = Omit<Answers, 422> & { [Status in Exclude<ProblemStatus, Exclude<keyof Answers, 422>>]: Problem };

/** Routes as clients see them, by path and method. */
type Seen<Routes> = {
  [Step in keyof Routes]: Routes[Step] extends { body: unknown; response: infer Answers }
    ? Omit<Routes[Step], "response"> & { response: WithProblems<Answers> }
    : Seen<Routes[Step]>;
};

/** The type of an app whose errors are all problem documents, for `@elysiajs/eden`. */
export type Typed<App> =
  App extends Elysia<
    infer Path,
    infer Singleton,
    infer Definitions,
    infer Metadata,
    infer Routes,
    infer Ephemeral,
    infer Volatile
  >
    ? Elysia<Path, Singleton, Definitions, Metadata, Seen<Routes>, Ephemeral, Volatile>
    : never;
