import type { TaskDefinition } from "../../domain/definition.ts";
import { policy } from "./policy.ts";
import type { ParseInput, ParseOutput } from "./shapes.ts";

const definition: TaskDefinition<ParseInput, ParseOutput> = {
  policy,
  // Loaded by the first run, so that a thread which never crawls does not pay for the crawler.
  run: async (input, ctx) => (await import("./crawl.ts")).crawl(input, ctx),
};

export default definition;
