import { type AnyElysia, Elysia } from "elysia";
import type { TaskPolicy } from "../domain/definition.ts";
import { ASSET_NAMES, asset } from "./docs-assets.ts";
import { type OpenApiDocument, openapiDocument } from "./openapi/document.ts";
import { Representation } from "./representation.ts";

interface Deps {
  readonly version: string;
  /** The routes that the document describes, made anew: the document is made by an app of its own. */
  readonly describe: () => AnyElysia;
  readonly definitions: () => readonly TaskPolicy[];
}

const described = (operationId: string, summary: string, contentType: string, schema: object) => ({
  operationId,
  summary,
  tags: ["operations"],
  security: [],
  responses: { "200": { description: "It", content: { [contentType]: { schema } } }, "304": { description: "Not changed" } },
});

/** The docs page and the OpenAPI document: /docs, /openapi.json. */
export function docsRoutes(deps: Deps) {
  const document = documentOf(deps);
  const app = new Elysia({ name: "artel/docs", normalize: false })
    .get("/docs", async ({ request }) => (await asset("index.html")).respond(request), {
      detail: described("getDocs", "The page that shows this document", "text/html", { type: "string" }),
    })
    .get("/openapi.json", async ({ request }) => (await document()).respond(request), {
      detail: described("getOpenApi", "This document", "application/json", { type: "object" }),
    });
  for (const name of ASSET_NAMES) {
    if (name === "index.html") continue;
    app.get(`/docs/${name}`, async ({ request }) => (await asset(name)).respond(request), { detail: { hide: true } });
  }
  return app;
}

export function describeApi(deps: Deps): Promise<OpenApiDocument> {
  const app = new Elysia().use(deps.describe()).use(docsRoutes(deps));
  return openapiDocument({ version: deps.version, app, definitions: deps.definitions() });
}

/** The document as it is served, made once for a set of definitions. */
function documentOf(deps: Deps): () => Promise<Representation> {
  let madeOf: readonly TaskPolicy[] | undefined;
  let made: Promise<Representation> | undefined;
  return () => {
    const definitions = deps.definitions();
    const same = madeOf?.length === definitions.length && definitions.every((policy, index) => policy === madeOf?.[index]);
    if (made === undefined || !same) {
      madeOf = definitions;
      made = describeApi({ ...deps, definitions: () => definitions }).then(represent);
    }
    return made;
  };
}

function represent(document: OpenApiDocument): Representation {
  return new Representation(new TextEncoder().encode(JSON.stringify(document)), "application/json");
}
