import { Elysia } from "elysia";
import type { TaskPolicy } from "../domain/definition.ts";

interface Deps {
  readonly version: string;
  /** The app that the document describes, made anew. */
  readonly describe: () => unknown;
  readonly definitions: () => readonly TaskPolicy[];
}

/** The docs page and the OpenAPI document: /docs, /openapi.json. */
export function docsRoutes(_deps: Deps) {
  return new Elysia({ name: "artel/docs" });
}

export async function describeApi(_deps: Deps): Promise<unknown> {
  return {};
}
