import { describe, expect, test } from "bun:test";
import { createServer as createTlsServer } from "node:tls";
import zlib from "node:zlib";
import type { Address } from "../../src/tasks/net/addresses.ts";
import { FetchError } from "../../src/tasks/net/fetch-error.ts";
import { type GuardOptions, guardedFetch } from "../../src/tasks/net/guarded-fetch.ts";
import { CERTIFICATE, KEY } from "./certificate.ts";
import { rawServer, redirect, rejection, site } from "./harness.ts";

const OPEN: GuardOptions = { allowPrivate: true };
const open = (url: string, init: RequestInit = {}, options: GuardOptions = {}) =>
  guardedFetch(url, init, { ...OPEN, ...options });
const at =
  (...addresses: string[]) =>
  async (): Promise<Address[]> =>
    addresses.map((address) => ({ address, family: 4 }));

describe("the connection", () => {
  test("goes to the address that was checked, though the name changes its mind meanwhile", async () => {
    await using checked = await rawServer((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nchecked"), "127.0.0.2");
    await using rebound = await rawServer((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nrebound"), "127.0.0.1", checked.port);
    let lookups = 0;
    const resolve = async (): Promise<Address[]> => [{ address: lookups++ === 0 ? "127.0.0.2" : "127.0.0.1", family: 4 }];
    const response = await open(`http://rebinding.example:${checked.port}/`, {}, { resolve });
    expect(await response.text()).toBe("checked");
    expect([lookups, rebound.connections]).toEqual([1, 0]);
  });

  test("is checked again at a redirect to the same name", async () => {
    await using server = await rawServer((socket) =>
      socket.end("HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n"),
    );
    let lookups = 0;
    const resolve = async (): Promise<Address[]> => {
      if (++lookups > 1) throw new Error("gone");
      return [{ address: "127.0.0.1", family: 4 }];
    };
    expect(await rejection(open(`http://name.example:${server.port}/`, {}, { resolve }))).toMatchObject({ reason: "unresolved" });
    expect(lookups).toBe(2);
  });

  test("never comes from the pool of requests that may go anywhere", async () => {
    await using server = site({ "/": "open" });
    const url = server.origin.replace("127.0.0.1", "pool.example");
    await (await open(url, {}, { resolve: at("127.0.0.1") })).text();
    // Nothing listens at 127.0.0.9: an answer could only come over the connection that is kept for this name.
    const allowPrivate = (address: string): boolean => address === "127.0.0.9";
    expect(await rejection(guardedFetch(url, {}, { allowPrivate, resolve: at("127.0.0.9") }))).toMatchObject({
      reason: "network",
    });
    expect(await rejection(guardedFetch(url, {}, { resolve: at("127.0.0.1") }))).toMatchObject({ reason: "refused" });
  });

  test("tries the next address when one does not answer", async () => {
    await using server = site({ "/": "second" });
    const response = await open(server.origin.replace("127.0.0.1", "two.example"), {}, { resolve: at("127.0.0.9", "127.0.0.1") });
    expect(await response.text()).toBe("second");
  });

  test("is used again, and one that the server has given up is replaced unnoticed", async () => {
    const served = new WeakMap<object, number>();
    await using server = await rawServer((socket) => {
      const before = served.get(socket) ?? 0;
      served.set(socket, before + 1);
      if (before < 2) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      else socket.destroy();
    });
    for (const path of ["/1", "/2", "/3"]) expect(await (await open(server.origin + path)).text()).toBe("ok");
    expect(server.connections).toBe(2);
    for (const path of ["/4", "/5"]) await (await open(server.origin + path)).text();
    // What may have had an effect is not sent twice.
    expect(await rejection(open(server.origin, { method: "POST", body: "x" }))).toMatchObject({ reason: "network" });
    expect(server.connections).toBe(3);
  });
});

describe("TLS", () => {
  async function secured() {
    const names: string[] = [];
    const SNICallback = (name: string, done: (error: Error | null) => void): void => {
      names.push(name);
      done(null);
    };
    const server = createTlsServer({ key: KEY, cert: CERTIFICATE, SNICallback }, (socket) => {
      socket.on("error", () => {});
      socket.on("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    });
    server.on("tlsClientError", () => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    return {
      port,
      names,
      async [Symbol.asyncDispose]() {
        server.close();
      },
    };
  }

  test("asks for the host's name at the checked address and verifies it", async () => {
    await using server = await secured();
    const response = await open(`https://good.test:${server.port}/`, {}, { resolve: at("127.0.0.1"), ca: CERTIFICATE });
    expect(await response.text()).toBe("ok");
    expect(server.names).toEqual(["good.test"]);
  });

  test("refuses a certificate for another name", async () => {
    await using server = await secured();
    const error = await rejection(open(`https://evil.test:${server.port}/`, {}, { resolve: at("127.0.0.1"), ca: CERTIFICATE }));
    expect(error).toMatchObject({ reason: "network" });
    expect(String(error)).toContain("certificate");
  });

  test("refuses a certificate that nobody vouches for", async () => {
    await using server = await secured();
    const error = await rejection(open(`https://good.test:${server.port}/`, {}, { resolve: at("127.0.0.1") }));
    expect(String(error)).toContain("no valid certificate");
  });
});

describe("redirects", () => {
  test("are followed, and the answer tells where it came from", async () => {
    await using server = site({ "/a": () => redirect("/b?x=1#part", 301), "/b?x=1": () => redirect("c", 307), "/c": "there" });
    const response = await open(`${server.origin}/a`);
    expect([response.status, response.url, response.redirected]).toEqual([200, `${server.origin}/c`, true]);
    expect(await response.text()).toBe("there");
  });

  test("end after ten", async () => {
    await using server = site((_, path) => redirect(path === "/" ? "/?n=1" : `/?n=${Number(path.slice(4)) + 1}`));
    expect(await rejection(open(server.origin))).toMatchObject({ reason: "too_many_redirects", transient: false });
    expect(server.requests.length).toBe(11);
  });

  test.each([
    "http://127.0.0.1:PORT/",
    "http://10.0.0.1/",
    "http://169.254.169.254/latest",
    "http://[::ffff:7f00:2]/",
    "//127.1:PORT/",
  ])("to %s are refused", async (location) => {
    await using inside = await rawServer((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nsecret"));
    const target = location.replace("PORT", String(inside.port));
    await using server = await rawServer(
      (socket) => socket.end(`HTTP/1.1 302 Found\r\nlocation: ${target}\r\n\r\n`),
      "127.0.0.2",
    );
    const allowPrivate = (address: string): boolean => address === "127.0.0.2";
    expect(await rejection(guardedFetch(server.origin, {}, { allowPrivate }))).toMatchObject({ reason: "refused" });
    expect([server.connections, inside.connections]).toEqual([1, 0]);
  });

  test("to a name are refused when it resolves to a private address", async () => {
    await using server = await rawServer((socket) =>
      socket.end("HTTP/1.1 302 Found\r\nlocation: http://inside.example/\r\n\r\n"),
    );
    const resolve = async (host: string) => at(host === "inside.example" ? "10.0.0.1" : "127.0.0.1")();
    const allowPrivate = (address: string): boolean => address === "127.0.0.1";
    const error = await rejection(guardedFetch(`http://outside.example:${server.port}/`, {}, { allowPrivate, resolve }));
    expect(error).toMatchObject({ reason: "refused" });
    expect(String(error)).toContain("inside.example");
  });

  test.each(["file:///etc/passwd", "ftp://example.com/", "javascript:alert(1)", "http://"])(
    "to %s are refused",
    async (location) => {
      await using server = site({ "/": () => redirect(location) });
      expect(await rejection(open(server.origin))).toMatchObject({ reason: "bad_url" });
    },
  );

  test("lose credentials on the way to another origin, and in the URL", async () => {
    const seen: Record<string, string | null> = {};
    const note = (name: string) => (request: Request) => {
      seen[name] = [request.headers.get("authorization"), request.headers.get("cookie"), request.headers.get("x-mine")].join();
      return new Response("ok");
    };
    await using other = site({ "/": note("other") });
    const target = other.origin.replace("//", "//user:secret@");
    await using server = site({ "/near": () => redirect("/here"), "/here": note("here"), "/far": () => redirect(target) });
    const headers = { authorization: "Bearer a", cookie: "b=1", "x-mine": "c" };
    await open(`${server.origin}/near`, { headers });
    const response = await open(`${server.origin}/far`, { headers });
    expect(seen).toEqual({ here: "Bearer a,b=1,c", other: ",,c" });
    expect(response.url).toBe(`${other.origin}/`);
  });

  test.each([
    [301, "POST", "GET", ""],
    [302, "POST", "GET", ""],
    [303, "PUT", "GET", ""],
    [307, "POST", "POST", "body"],
    [308, "PUT", "PUT", "body"],
    [302, "HEAD", "HEAD", ""],
  ])("%d turns %s into %s", async (status, method, expected, body) => {
    let seen = "";
    await using server = site(async (request, path) => {
      if (path === "/") return redirect("/next", status);
      seen = `${request.method} ${await request.text()}`;
      return new Response("ok");
    });
    await open(server.origin, { method, ...(method === "HEAD" ? {} : { body: "body" }) });
    expect(seen).toBe(`${expected} ${body}`);
  });

  test("can be left to the caller, or forbidden", async () => {
    await using server = site({ "/": () => redirect("/next") });
    const response = await open(server.origin, { redirect: "manual" });
    expect([response.status, response.headers.get("location")]).toEqual([302, "/next"]);
    expect(await rejection(open(server.origin, { redirect: "error" }))).toBeInstanceOf(FetchError);
  });

  test("may name their target in raw UTF-8", async () => {
    await using server = await rawServer((socket, sent) => {
      if (sent.startsWith("GET /caf%C3%A9 ")) socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      else socket.end("HTTP/1.1 302 Found\r\nlocation: /café\r\ncontent-length: 0\r\n\r\n");
    });
    expect(await (await open(server.origin)).text()).toBe("ok");
  });
});

describe("the request", () => {
  test("carries method, headers and body, and names the host that was checked", async () => {
    let seen = "";
    await using server = await rawServer((socket, sent) => {
      seen = sent;
      socket.end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    });
    const headers = { host: "evil.example", "content-length": "1", "transfer-encoding": "chunked", "x-mine": "1" };
    await open(`${server.origin}/p?q=1#f`, { method: "POST", headers, body: JSON.stringify({ a: 1 }) });
    expect(seen).toStartWith("POST /p?q=1 HTTP/1.1\r\n");
    expect(seen.toLowerCase()).toContain(`host: 127.0.0.1:${server.port}\r\n`);
    expect(seen.toLowerCase()).toContain("content-length: 7\r\n");
    expect(seen.toLowerCase()).toContain("user-agent: artel\r\n");
    expect(seen).toContain("x-mine: 1");
    expect(seen).not.toMatch(/evil|chunked/i);
    expect(seen).toEndWith('\r\n\r\n{"a":1}');
  });
});

describe("the body", () => {
  const text = "déjà vu ".repeat(20_000);
  test.each([
    ["gzip", zlib.gzipSync(text)],
    ["x-gzip", zlib.gzipSync(text)],
    ["br", zlib.brotliCompressSync(text)],
    ["deflate", zlib.deflateSync(text)],
    ["deflate", zlib.deflateRawSync(text)],
    ["zstd", zlib.zstdCompressSync(text)],
    ["identity", Buffer.from(text)],
    ["gzip, br", zlib.brotliCompressSync(zlib.gzipSync(text))],
  ])("is decoded from %s", async (coding, body) => {
    await using server = site(() => new Response(new Uint8Array(body), { headers: { "content-encoding": coding } }));
    const response = await open(server.origin);
    expect(await response.text()).toBe(text);
    expect(response.headers.get("content-encoding")).toBe(coding === "identity" ? coding : null);
  });

  test.each([
    ["gzip", zlib.gzipSync(Buffer.alloc(32 * 1024 * 1024))],
    ["br", zlib.brotliCompressSync(Buffer.alloc(32 * 1024 * 1024), { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } })],
    ["zstd", zlib.zstdCompressSync(Buffer.alloc(32 * 1024 * 1024))],
    ["gzip, gzip", zlib.gzipSync(zlib.gzipSync(Buffer.alloc(32 * 1024 * 1024)))],
  ])("that is a bomb in %s stops at the cap", async (coding, body) => {
    await using server = site(() => new Response(new Uint8Array(body), { headers: { "content-encoding": coding } }));
    const response = await open(server.origin, {}, { maxBodyBytes: 1024 * 1024 });
    let read = 0;
    const error = await rejection(
      (async () => {
        for await (const piece of response.body ?? []) read += piece.byteLength;
      })(),
    );
    expect(error).toMatchObject({ reason: "too_large" });
    expect(read).toBeLessThanOrEqual(1024 * 1024);
  });

  test("stops at the cap when it is not compressed, or compressed to nothing", async () => {
    // Empty gzip members: the wire carries bytes for ever, and nothing comes out.
    const empty = zlib.gzipSync("");
    const members = Buffer.concat(Array.from({ length: 100_000 }, () => empty));
    await using server = site({
      "/plain": () => new Response(new Uint8Array(2_000_000)),
      "/empty": () => new Response(new Uint8Array(members), { headers: { "content-encoding": "gzip" } }),
    });
    for (const path of ["/plain", "/empty"]) {
      const response = await open(server.origin + path, {}, { maxBodyBytes: 1_000_000 });
      expect(await rejection(response.arrayBuffer())).toMatchObject({ reason: "too_large" });
    }
  });

  test.each([
    ["not gzip at all", "gzip", Buffer.from("<html>plain")],
    ["cut gzip", "gzip", zlib.gzipSync(text).subarray(0, 100)],
    ["not brotli", "br", Buffer.from([1, 2, 3, 4, 5])],
    ["an unknown coding", "lzma", Buffer.from("x")],
    ["too many codings", "gzip, gzip, gzip", zlib.gzipSync("x")],
  ])("that is %s is an error", async (_, coding, body) => {
    await using server = site(() => new Response(new Uint8Array(body), { headers: { "content-encoding": coding } }));
    const read = async () => (await open(server.origin)).text();
    expect(await rejection(read())).toMatchObject({ code: "fetch_failed", reason: "bad_response" });
  });

  test("may be absent although an encoding is named", async () => {
    await using server = site(() => new Response(new Uint8Array(), { headers: { "content-encoding": "gzip" } }));
    expect(await (await open(server.origin)).text()).toBe("");
    const head = await open(server.origin, { method: "HEAD" });
    expect(head.body).toBeNull();
  });

  test("that cannot be decoded gives its connection up", async () => {
    await using server = await rawServer(
      (socket) => void socket.write("HTTP/1.1 200 OK\r\ncontent-encoding: lzma\r\ncontent-length: 9\r\n\r\nsome"),
    );
    const response = await open(server.origin);
    expect(await rejection(response.text())).toMatchObject({ reason: "bad_response" });
    await server.closed;
  });

  test("that breaks off is an error", async () => {
    await using server = await rawServer((socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nonly"));
    const response = await open(server.origin);
    expect(await rejection(response.text())).toMatchObject({ reason: "network", transient: true });
  });

  test("is pulled only as fast as it is read, and a cancel ends the download", async () => {
    const sent = { bytes: 0 };
    await using server = await rawServer((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      const piece = Buffer.alloc(64 * 1024);
      const write = (): void => {
        while (!socket.destroyed && socket.write(piece)) sent.bytes += piece.length;
      };
      socket.on("drain", write);
      write();
    });
    const response = await open(server.origin);
    const reader = response.body?.getReader();
    expect((await reader?.read())?.value?.byteLength).toBeGreaterThan(0);
    await reader?.cancel();
    await server.closed;
    expect(sent.bytes).toBeLessThan(64 * 1024 * 1024);
  });
});

describe("limits", () => {
  test("of header bytes", async () => {
    await using server = await rawServer((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      for (let at = 0; at < 200; at++) socket.write(`x-${at}: ${"a".repeat(1_000)}\r\n`);
      socket.end("\r\n");
    });
    expect(await rejection(open(server.origin))).toMatchObject({ reason: "too_large" });
  });

  test("of waiting for headers, for more of the body, and of everything", async () => {
    await using silent = await rawServer(() => {});
    await using stalling = await rawServer((socket) => void socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsome"));
    expect(await rejection(open(silent.origin, {}, { idleMs: 20 }))).toMatchObject({ reason: "timeout", transient: true });
    expect(await rejection(open(silent.origin, {}, { totalMs: 20 }))).toMatchObject({ reason: "timeout" });
    const response = await open(stalling.origin, {}, { idleMs: 300 });
    expect(await rejection(response.text())).toMatchObject({ reason: "timeout" });
    await Promise.all([silent.closed, stalling.closed]);
  });

  test("of resolving and connecting", async () => {
    const never = () => new Promise<Address[]>(() => {});
    const error = await rejection(open("http://slow.example/", {}, { resolve: never, connectMs: 20 }));
    expect(error).toMatchObject({ reason: "timeout" });
  });

  test.each([
    ["SSH-2.0-OpenSSH_9.2\r\n", "bad_response"],
    ["HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 7\r\n\r\nok", "bad_response"],
  ])("of what counts as HTTP: %p", async (bytes, reason) => {
    await using server = await rawServer((socket) => void socket.write(bytes));
    expect(await rejection(open(server.origin))).toMatchObject({ reason });
  });

  test("of statuses: one outside of HTTP's range is passed on", async () => {
    await using server = await rawServer((socket) => socket.end("HTTP/1.1 999 Denied\r\ncontent-length: 2\r\n\r\nno"));
    const response = await open(server.origin);
    expect([response.status, response.ok, await response.text()]).toEqual([999, false, "no"]);
  });
});

describe("a signal", () => {
  const reason = new Error("the task was cancelled");

  test("that has aborted prevents the request", async () => {
    await using server = site({ "/": "hello" });
    expect(await rejection(open(server.origin, {}, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(await rejection(open(server.origin, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(server.requests).toEqual([]);
  });

  test("ends the wait for headers and closes the connection", async () => {
    const abort = new AbortController();
    await using server = await rawServer(() => abort.abort(reason));
    expect(await rejection(open(server.origin, {}, { signal: abort.signal }))).toBe(reason);
    await server.closed;
  });

  test.each(["identity", "gzip"])("ends the body (%s) and closes the connection", async (coding) => {
    const abort = new AbortController();
    const start = coding === "gzip" ? zlib.gzipSync("x".repeat(1_000)).subarray(0, 12) : Buffer.from("some");
    await using server = await rawServer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: ${coding}\r\ncontent-length: 99\r\n\r\n`);
      socket.write(start);
    });
    const response = await open(server.origin, {}, { signal: abort.signal });
    const text = rejection(response.text());
    abort.abort(reason);
    expect(await text).toBe(reason);
    await server.closed;
  });

  test("ends a look-up", async () => {
    const abort = new AbortController();
    const resolve = () => {
      queueMicrotask(() => abort.abort(reason));
      return new Promise<Address[]>(() => {});
    };
    expect(await rejection(open("http://slow.example/", {}, { signal: abort.signal, resolve }))).toBe(reason);
  });
});
