import { Elysia, type ElysiaCustomStatusResponse, t } from "elysia";

/** Whether one part of the service works, and what is wrong where it does not. */
export interface Check {
  readonly ok: boolean;
  readonly detail?: string;
}

export type Checks = Readonly<Record<string, Check>>;

export const ChecksSchema = t.Object({
  status: t.Union([t.Literal("ok"), t.Literal("unavailable")]),
  checks: t.Record(t.String(), t.Object({ ok: t.Boolean(), detail: t.Optional(t.String()) })),
});
type ReadyAnswer = typeof ChecksSchema.static;
const LIVE = t.Object({ status: t.Literal("ok") });
const content = { "application/json": { schema: ChecksSchema } };

interface Deps {
  readonly checks: () => Checks;
  /** Prometheus text and its content type. */
  readonly metrics: () => Promise<{ readonly text: string; readonly contentType: string }>;
}

/** For whoever runs the service: /health/live, /health/ready, /metrics. Nothing in them tells of users or tasks. */
export function healthRoutes({ checks, metrics }: Deps) {
  return new Elysia({ name: "artel/health" })
    .get("/health/live", () => ({ status: "ok" as const }), {
      detail: {
        operationId: "isLive",
        summary: "The process answers",
        tags: ["operations"],
        security: [],
        responses: { "200": { description: "It does", content: { "application/json": { schema: LIVE } } } } as never,
      },
    })
    .get(
      "/health/ready",
      ({ set }) => {
        const found = checks();
        const ready = Object.values(found).every(({ ok }) => ok);
        set.status = ready ? 200 : 503;
        // With either status: its type says so to clients.
        return { status: ready ? "ok" : "unavailable", checks: found } as
          | ReadyAnswer
          | ElysiaCustomStatusResponse<503, ReadyAnswer>;
      },
      {
        detail: {
          operationId: "isReady",
          summary: "The service can do its work",
          tags: ["operations"],
          security: [],
          // A TypeBox schema is a JSON Schema, which OpenAPI's types do not see.
          responses: {
            "200": { description: "It can", content },
            "503": { description: "It cannot; checks say why", content },
          } as never,
        },
      },
    )
    .get(
      "/metrics",
      async ({ set }) => {
        const { text, contentType } = await metrics();
        set.headers["content-type"] = contentType;
        return text;
      },
      {
        detail: {
          operationId: "getMetrics",
          summary: "Figures for Prometheus",
          tags: ["operations"],
          security: [],
          responses: { "200": { description: "Prometheus text", content: { "text/plain": { schema: { type: "string" } } } } },
        },
      },
    );
}
