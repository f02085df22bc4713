import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { Elysia } from "elysia";
import { version } from "../../package.json";
import type { TaskPolicy } from "../../src/domain/definition.ts";
import { type AppDeps, apiRoutes } from "../../src/http/app.ts";
import { docsRoutes } from "../../src/http/docs.ts";
import { builtinPolicies } from "../../src/tasks/builtin.ts";

const running: { stop(closeAll: boolean): unknown }[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop(true);
});

/** The documents made since the start can be counted. */
function serve(definitions: () => readonly TaskPolicy[] = () => builtinPolicies) {
  let described = 0;
  const describe = () => {
    described += 1;
    return apiRoutes({} as AppDeps);
  };
  const app = new Elysia({ normalize: false }).use(docsRoutes({ version, describe, definitions }));
  app.listen({ hostname: "127.0.0.1", port: 0, reusePort: false });
  running.push(app);
  const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    fetch(`http://127.0.0.1:${app.server?.port}${path}`, { method, headers: { "accept-encoding": "identity", ...headers } });
  return { get, described: () => described };
}

describe("/openapi.json", () => {
  test("is what `artel openapi` prints", async () => {
    const { get } = serve();
    const main = join(import.meta.dir, "../../src/main.ts");
    const command = Bun.spawn([process.execPath, main, "openapi"], { stdout: "pipe", stderr: "inherit", env: { PATH: "" } });
    const [printed, served] = await Promise.all([command.stdout.json(), get("/openapi.json")]);
    expect(await command.exited).toBe(0);
    expect(served.headers.get("content-type")).toBe("application/json");
    expect(await served.json()).toEqual(printed);
  });

  test("is made once for a set of definitions", async () => {
    let definitions = [...builtinPolicies];
    const { get, described } = serve(() => [...definitions]);
    const answers = await Promise.all([get("/openapi.json"), get("/openapi.json"), get("/openapi.json")]);
    const [etag] = new Set(answers.map(({ headers }) => headers.get("etag")));
    expect(described()).toBe(1);
    definitions = [...definitions, { ...(builtinPolicies[0] as TaskPolicy), name: "other" }];
    const changed = await get("/openapi.json", { "if-none-match": etag ?? "" });
    expect(changed.status).toBe(200);
    expect((await changed.json()) as object).toHaveProperty(["paths", "/tasks/other", "post"]);
    expect(described()).toBe(2);
  });
});

describe("/docs", () => {
  test("with and without a slash is a page that may run nothing but its own files", async () => {
    const { get } = serve();
    const page = await (await get("/docs")).text();
    for (const path of ["/docs", "/docs/"]) {
      const answer = await get(path);
      expect(answer.status).toBe(200);
      expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
      const policy = answer.headers.get("content-security-policy") ?? "";
      expect(policy).toStartWith("default-src 'none'; script-src 'self'; style-src 'self';");
      expect(policy).not.toContain("unsafe");
      expect(await answer.text()).toBe(page);
    }
    expect(page).not.toMatch(/<script(?![^>]* src="\/docs\/)|<style|\son\w+=|\sstyle=|https?:/);
  });

  test("names files that are there, and nothing else is", async () => {
    const { get } = serve();
    const page = await (await get("/docs")).text();
    const files = [...page.matchAll(/(?:href|src)="(\/docs\/[^"]+)"/g)].map(([, path]) => path ?? "");
    expect(files).toHaveLength(5);
    for (const file of files) {
      const answer = await get(file);
      expect([file, answer.status, answer.headers.get("x-content-type-options")]).toEqual([file, 200, "nosniff"]);
      expect((await answer.bytes()).length).toBeGreaterThan(100);
    }
    for (const path of ["/docs/index.html", "/docs/nothing", "/docs/../package.json", "/docs/%2e%2e/package.json"]) {
      expect([path, (await get(path)).status]).toEqual([path, 404]);
    }
  });
});

describe.each(["/docs", "/docs/swagger-ui-bundle.js", "/openapi.json"])("%s", (path) => {
  test("is compressed for who takes that", async () => {
    const { get } = serve();
    const whole = await (await get(path)).bytes();
    const server = running[0] as Elysia;
    // Bun's fetch unpacks by itself, so the app is asked directly.
    const ask = (accepted: string) =>
      server.handle(new Request(`http://localhost${path}`, { headers: { "accept-encoding": accepted } }));
    const packed = await ask("br;q=1, gzip;q=0.8");
    expect(packed.headers.get("content-encoding")).toBe("gzip");
    expect(packed.headers.get("vary")).toBe("accept-encoding");
    expect(gunzipSync(await packed.arrayBuffer()).equals(whole)).toBe(true);
    for (const accepted of ["br", "gzip;q=0", "gzip; q=0.0, br", "xgzip"]) {
      const plain = await ask(accepted);
      expect([accepted, plain.headers.get("content-encoding")]).toEqual([accepted, null]);
      expect(Buffer.from(await plain.arrayBuffer()).equals(whole)).toBe(true);
    }
  });

  test("is not sent again to who has it, and HEAD gives its headers alone", async () => {
    const { get } = serve();
    const whole = await get(path);
    const etag = whole.headers.get("etag") ?? "";
    expect(etag).toMatch(/^W\/"[\w-]{22}"$/);
    expect(whole.headers.get("cache-control")).toBe("no-cache");
    for (const condition of [etag, `"other", ${etag}`, "*"]) {
      const again = await get(path, { "if-none-match": condition });
      expect([condition, again.status, await again.text()]).toEqual([condition, 304, ""]);
    }
    expect((await get(path, { "if-none-match": 'W/"other"' })).status).toBe(200);
    const head = await get(path, {}, "HEAD");
    expect([head.status, head.headers.get("etag"), head.headers.get("content-type")]).toEqual([
      200,
      etag,
      whole.headers.get("content-type"),
    ]);
    expect(await head.text()).toBe("");
  });
});
