import { describe, expect, test } from "bun:test";
import { originCheck } from "../../src/http/origins.ts";
import { problem } from "../support/problems.ts";
import { RawSocket } from "../support/raw-socket.ts";
import { suiteServer, TestServer } from "../support/server.ts";

const LISTED = "https://app.example.com";
const OTHER = "https://evil.example";

const { server } = await suiteServer({ origins: [LISTED, "http://Second.example:8080/"] });
const ada = await server.user();

const preflight = (origin: string, path = "/tasks/echo", method = "POST") =>
  server.fetch(path, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": method,
      "access-control-request-headers": "authorization, content-type, idempotency-key",
    },
  });
const allowed = (response: Response) => response.headers.get("access-control-allow-origin");

describe("CORS", () => {
  test("a listed origin: preflight with every header that a page needs", async () => {
    for (const path of ["/tasks/echo", "/tasks", "/auth/login", "/tasks/definitions"]) {
      const response = await preflight(LISTED, path);
      expect(response.status).toBe(204);
      expect(allowed(response)).toBe(LISTED);
      const headers = response.headers.get("access-control-allow-headers")?.toLowerCase().split(/, */) ?? [];
      for (const header of ["authorization", "content-type", "idempotency-key"]) expect(headers).toContain(header);
      expect(response.headers.get("access-control-allow-methods")).toContain("POST");
      expect(response.headers.get("access-control-allow-credentials")).toBeNull();
      expect(response.headers.get("vary")).toBe("Origin");
    }
    expect(allowed(await preflight("http://second.example:8080"))).toBe("http://second.example:8080");
  });

  test("a listed origin may read answers and errors alike", async () => {
    for (const [path, headers] of [
      ["/tasks", ada.headers],
      ["/tasks", {}],
      ["/tasks/nothing", ada.headers],
      ["/nothing", {}],
      ["/health/ready", {}],
    ] as [string, Record<string, string>][]) {
      const response = await server.fetch(path, { headers: { ...headers, origin: LISTED } });
      expect(allowed(response)).toBe(LISTED);
      expect(response.headers.get("vary")).toBe("Origin");
    }
    const submitted = await ada.post("/tasks/noop", {}, { origin: LISTED });
    expect(submitted.headers.get("access-control-expose-headers")?.split(/, */)).toContain("location");
  });

  test("others may not", async () => {
    for (const origin of [OTHER, "null", `${LISTED}.evil.example`, "http://app.example.com", "https://app.example.com:444"]) {
      expect(allowed(await preflight(origin))).toBeNull();
      expect(allowed(await ada.get("/tasks"))).toBeNull();
      expect(allowed(await server.fetch("/tasks", { headers: { ...ada.headers, origin } }))).toBeNull();
    }
  });

  test("preflights make no address and no method", async () => {
    expect(await problem(await ada.post("/nothing", {}))).toMatchObject({ status: 404 });
    const wrong = await server.fetch("/tasks", { method: "DELETE" });
    expect(wrong.headers.get("allow")).toBe("GET, HEAD");
    expect(await problem(wrong)).toMatchObject({ status: 405 });
  });

  test("without --origins no origin is told anything", async () => {
    const plain = await TestServer.start();
    try {
      const response = await plain.fetch("/health/live", { headers: { origin: LISTED } });
      expect(allowed(response)).toBeNull();
      expect(allowed(await plain.fetch("/tasks", { method: "OPTIONS", headers: { origin: LISTED } }))).toBeNull();
    } finally {
      await plain.stop();
    }
  });
});

describe("WebSocket", () => {
  const open = async (headers: Record<string, string>) => {
    const raw = await RawSocket.open(server.port, "/ws/notifications", headers);
    raw.destroy();
    return raw.handshake;
  };

  test("no Origin, the same host, and listed ones are let in", async () => {
    const same = `http://127.0.0.1:${server.port}`;
    for (const headers of [
      {},
      { origin: same },
      { origin: same.replace("http", "https") },
      { origin: LISTED },
      { origin: "http://second.example:8080" },
    ]) {
      expect((await open({ ...ada.headers, ...headers })).status).toBe(101);
    }
  });

  test("others get 403 as a problem, whoever they are", async () => {
    for (const origin of [
      OTHER,
      "null",
      "",
      "nonsense",
      "http://127.0.0.1",
      `http://127.0.0.1:${server.port + 1}`,
      `http://localhost:${server.port}`,
    ]) {
      for (const headers of [ada.headers, {}]) {
        const { status, headers: answered, body } = await open({ ...headers, origin });
        expect(status).toBe(403);
        expect(await problem(new Response(body, { status, headers: answered }))).toMatchObject({ code: "origin_not_allowed" });
      }
    }
    // It is not a ticket's end either.
    const { ticket } = (await (await ada.post("/auth/ws-ticket")).json()) as { ticket: string };
    const path = `/ws/notifications?ticket=${ticket}`;
    for (const [origin, status] of [
      [OTHER, 403],
      [LISTED, 101],
    ] as const) {
      const raw = await RawSocket.open(server.port, path, { origin });
      raw.destroy();
      expect(raw.handshake.status).toBe(status);
    }
  });

  test("a star lets every origin in", () => {
    const request = (origin: string) => new Request("http://a.example", { headers: { origin, host: "a.example" } });
    expect(originCheck(["*"])(request(OTHER))).toBe(true);
    expect(originCheck([])(request(OTHER))).toBe(false);
    expect(originCheck([])(request("http://A.example"))).toBe(true);
  });
});
