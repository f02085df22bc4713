import { describe, expect, test } from "bun:test";
import zlib from "node:zlib";
import { resultCheckOf } from "../../src/domain/schema-check.ts";
import { NonRetryableError, TaskError } from "../../src/tasks/artel.ts";
import { crawl as crawlPages } from "../../src/tasks/parse/crawl.ts";
import definition from "../../src/tasks/parse/definition.ts";
import { policy } from "../../src/tasks/parse/policy.ts";
import type { ParseOutput } from "../../src/tasks/parse/shapes.ts";
import { context, type Handler, html, Retry, rawServer, redirect, rejection, type Site, site } from "./harness.ts";

const links = (...hrefs: string[]) => hrefs.map((href) => `<a href="${href}">x</a>`).join(" ");
const paths = (output: ParseOutput, { origin }: Site) => output.pages.map(({ url }) => url.replace(origin, ""));

const misfits = resultCheckOf(definition.policy.output ?? {});

/** Every result is as the definition says. */
const crawl: typeof crawlPages = async (...call) => {
  const output = await crawlPages(...call);
  expect(misfits(JSON.parse(JSON.stringify(output)))).toEqual([]);
  return output;
};

describe("one page", () => {
  test("gives exactly what the contract says", async () => {
    const body = `<html lang=en><head><title>A page</title><meta name=description content="About it"></head>
      <body><h1>One</h1><p>two <a href="/b#x">three</a> <a href="/b">four</a></p></body></html>`;
    await using server = site({ "/": body });
    const output = await definition.run({ url: `${server.origin}/#top` }, context());
    expect(output).toEqual({
      pages: [
        {
          url: `${server.origin}/`,
          status: 200,
          title: "A page",
          description: "About it",
          lang: "en",
          headings: [{ level: 1, text: "One" }],
          links: [`${server.origin}/b`],
          words: 4,
          bytes: Buffer.byteLength(body),
          elapsed_ms: expect.any(Number),
        },
      ],
      links_total: 1,
      pages_total: 1,
    });
    expect(server.requests).toEqual(["/robots.txt", "/"]);
  });

  test("is read through redirects and compression, and its size is that of the text", async () => {
    const body = `<title>there</title>${"<p>word".repeat(5_000)}`;
    const packed = new Uint8Array(zlib.brotliCompressSync(body));
    await using target = site({ "/to": () => html(packed, { "content-encoding": "br" }) });
    await using server = site({ "/": () => redirect("/hop", 301), "/hop": () => redirect(`${target.origin}/to`) });
    const { pages } = await crawl({ url: server.origin }, context());
    expect(pages[0]).toMatchObject({ url: `${target.origin}/to`, title: "there", words: 5_000, bytes: body.length });
    // robots.txt of the other origin is asked before its page.
    expect(target.requests).toEqual(["/robots.txt", "/to"]);
  });

  test("that is no HTML has its size and nothing else, and is not downloaded to learn it", async () => {
    const nothing = { title: null, description: null, lang: null, headings: [], links: [], words: 0 };
    await using server = await rawServer((socket, sent) => {
      if (sent.includes("robots.txt")) socket.write("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
      else socket.write("HTTP/1.1 200 OK\r\ncontent-type: application/pdf\r\ncontent-length: 900000000\r\n\r\n%PDF");
    });
    const { pages } = await crawl({ url: server.origin }, context());
    expect(pages).toEqual([
      { url: `${server.origin}/`, status: 200, ...nothing, bytes: 900_000_000, elapsed_ms: expect.any(Number) },
    ]);
    await using plain = site(() => html("<title>text</title>", { "content-type": "text/plain", "content-encoding": "identity" }));
    expect((await crawl({ url: plain.origin }, context())).pages[0]).toMatchObject({ ...nothing, bytes: 19 });
  });

  test("without a content type is HTML if it looks like it", async () => {
    await using server = await rawServer((socket, sent) => {
      if (sent.includes("robots.txt")) socket.end("HTTP/1.1 404 Not Found\r\n\r\n");
      else socket.end(`HTTP/1.1 200 OK\r\n\r\n${sent.startsWith("GET /html") ? "\n<title>yes</title>" : "a < b"}`);
    });
    expect((await crawl({ url: `${server.origin}/html` }, context())).pages[0]?.title).toBe("yes");
    expect((await crawl({ url: `${server.origin}/text` }, context())).pages[0]).toMatchObject({ title: null, bytes: 5 });
  });

  test("may be XHTML", async () => {
    const body = `<?xml version="1.0"?><html xml:lang="fr"><head><title>x</title></head><body><a id="a"/>b</body></html>`;
    await using server = site(() => html(body, { "content-type": "application/xhtml+xml" }));
    expect((await crawl({ url: server.origin }, context())).pages[0]).toMatchObject({ title: "x", lang: "fr", words: 1 });
  });
});

describe("a first page that cannot be had", () => {
  const failure = async (handler: Record<string, Handler>, attempt = 1) => {
    await using server = site(handler);
    const ctx = context({ attempt });
    return { error: await rejection(crawl({ url: server.origin }, ctx)), ctx };
  };

  test.each([400, 401, 403, 404, 410, 418, 451])("for a %d fails for good", async (status) => {
    const { error } = await failure({ "/": () => new Response("no", { status }) });
    expect(error).toBeInstanceOf(NonRetryableError);
    expect(error).toMatchObject({ code: "fetch_failed", message: expect.stringContaining(`it answered ${status}`) });
  });

  test.each([408, 425, 429, 500, 502, 503, 504])("for a %d is tried again", async (status) => {
    const { error } = await failure({ "/": () => new Response("no", { status }) });
    expect(error).toBeInstanceOf(TaskError);
    expect(error).not.toBeInstanceOf(NonRetryableError);
    expect(error).toMatchObject({ code: "fetch_failed" });
  });

  test("waits as long as the server asks, while attempts are left and the wait is sane", async () => {
    const busy = (after: string) => ({ "/": () => new Response("no", { status: 503, headers: { "retry-after": after } }) });
    const first = await failure(busy("7"));
    expect([first.error instanceof Retry, first.ctx.retries]).toEqual([true, [7_000]]);
    const dated = await failure(busy(new Date(Date.now() + 60_000).toUTCString()));
    expect(dated.ctx.retries[0]).toBeWithin(50_000, 60_001);
    for (const { error, ctx } of [
      await failure(busy("7"), policy.retry.maxAttempts),
      await failure(busy("86400")),
      await failure(busy("soon")),
    ]) {
      expect(error).toMatchObject({ name: "TaskError", code: "fetch_failed" });
      expect(ctx.retries).toEqual([]);
    }
  });

  test("because nothing listens is tried again", async () => {
    const server = site({});
    await server[Symbol.asyncDispose]();
    const error = await rejection(crawl({ url: server.origin }, context()));
    expect(error).toMatchObject({
      name: "TaskError",
      code: "fetch_failed",
      message: expect.stringContaining("refused the connection"),
    });
  });

  test("because the connection breaks is tried again", async () => {
    await using server = await rawServer((socket, sent) => {
      if (sent.includes("robots.txt")) socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
      else socket.end("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 100\r\n\r\n<p>");
    });
    expect(await rejection(crawl({ url: server.origin }, context()))).toMatchObject({ name: "TaskError", code: "fetch_failed" });
  });

  test("because it redirects in circles or nowhere fails for good", async () => {
    for (const location of ["/", "ftp://example.com/", "http://[bad"]) {
      const { error } = await failure({ "/": () => redirect(location) });
      expect(error).toMatchObject({ name: "NonRetryableError", code: "fetch_failed" });
    }
    const { error } = await failure({ "/": () => new Response(null, { status: 304 }) });
    expect(error).toMatchObject({ name: "NonRetryableError", message: expect.stringContaining("304") });
  });

  test.each([
    "http://127.0.0.1/",
    "http://localhost:1/",
    "http://2130706433/",
    "http://[::ffff:7f00:1]/",
    "http://169.254.169.254/",
  ])("because %s is private fails for good", async (url) => {
    const error = await rejection(crawl({ url }, context({ guard: { allowPrivate: false } })));
    expect(error).toMatchObject({ name: "NonRetryableError", code: "fetch_failed", message: expect.stringContaining("refused") });
  });

  test("because it redirects to a private address fails for good", async () => {
    await using server = site({ "/": () => redirect("http://10.0.0.1/") });
    const guard = { allowPrivate: (address: string) => address === "127.0.0.1" };
    const error = await rejection(crawl({ url: server.origin }, context({ guard })));
    expect(error).toMatchObject({ name: "NonRetryableError", message: expect.stringContaining("10.0.0.1 is refused") });
  });

  test.each(["http://user:secret@site.example/", "ftp://site.example/", "http://"])(
    "because %s is no such URL fails for good",
    async (url) => {
      const error = await rejection(crawl({ url }, context()));
      expect(error).toMatchObject({ name: "NonRetryableError", code: "fetch_failed" });
      expect(String(error)).not.toContain("secret");
    },
  );

  test("because it is too large fails for good, after no more than the limit", async () => {
    const bomb = new Uint8Array(zlib.gzipSync(Buffer.alloc(64 * 1024 * 1024, "<p>x ")));
    const { error } = await failure({ "/": () => html(bomb, { "content-encoding": "gzip" }) });
    expect(error).toMatchObject({ name: "NonRetryableError", message: expect.stringContaining("too large") });
  });
});

describe("a crawl", () => {
  const tree = {
    "/": links("/a", "/b", "#here", "/a#again"),
    "/a": links("/a1", "/a2", "/"),
    "/b": links("/b1", "/a1"),
    "/a1": links("/deep"),
    "/a2": "<title>a2</title>",
    "/b1": "",
    "/deep": "",
  };

  test("goes breadth first, in document order, each page once", async () => {
    await using server = site(tree);
    const output = await crawl({ url: server.origin, max_pages: 500 }, context());
    expect(paths(output, server)).toEqual(["/", "/a", "/b", "/a1", "/a2", "/b1", "/deep"]);
    expect(output).toMatchObject({ pages_total: 7, links_total: 7 });
    expect(server.requests.toSorted()).toEqual(["/", "/a", "/a1", "/a2", "/b", "/b1", "/deep", "/robots.txt"]);
  });

  test("gives the same order whichever page answers first", async () => {
    const released = Promise.withResolvers<Response>();
    await using server = site({
      "/": links("/slow", "/1", "/2", "/3", "/4", "/5"),
      "/slow": () => released.promise,
      "/1": links("/from-1"),
      "/2": "",
      // Three others are on their way while the slow one is: only now does it answer.
      "/3": () => {
        released.resolve(html(links("/from-slow")));
        return html("");
      },
      "/4": "",
      "/5": "",
      "/from-1": "",
      "/from-slow": "",
    });
    const output = await crawl({ url: server.origin, max_pages: 500 }, context());
    expect(paths(output, server)).toEqual(["/", "/slow", "/1", "/2", "/3", "/4", "/5", "/from-slow", "/from-1"]);
  });

  test("ends at max_pages, and asks for no page more", async () => {
    await using server = site(tree);
    expect(paths(await crawl({ url: server.origin }, context()), server)).toEqual(["/"]);
    server.requests.length = 0;
    expect(paths(await crawl({ url: server.origin, max_pages: 4 }, context()), server)).toEqual(["/", "/a", "/b", "/a1"]);
    expect(server.requests).toHaveLength(5);
  });

  test("never has more than four requests on their way", async () => {
    let [open, most] = [0, 0];
    let waiting: (() => void)[] = [];
    const page = async (): Promise<Response> => {
      most = Math.max(most, ++open);
      // Each waits for the fourth, or for the last ones.
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        if (waiting.length === 4) {
          for (const go of waiting) go();
          waiting = [];
        }
      });
      open--;
      return html("");
    };
    const names = Array.from({ length: 12 }, (_, at) => `/p${at}`);
    await using server = site({ "/": links(...names), ...Object.fromEntries(names.map((name) => [name, page])) });
    expect((await crawl({ url: server.origin, max_pages: 500 }, context())).pages_total).toBe(13);
    expect(most).toBe(4);
  });

  test("keeps to the origin where the first page's redirects end", async () => {
    await using elsewhere = site({ "/": "<title>elsewhere</title>" });
    await using server = site({
      "/": links("/in", elsewhere.origin, "/out"),
      "/in": "",
      "/out": () => redirect(elsewhere.origin),
    });
    await using before = site({ "/": () => redirect(`${server.origin}/`) });
    const ctx = context();
    const output = await crawl({ url: before.origin, max_pages: 500 }, ctx);
    expect(paths(output, server)).toEqual(["/", "/in"]);
    expect(output.pages[0]?.links).toContain(`${elsewhere.origin}/`);
    expect(elsewhere.requests).toEqual([]);
    expect(ctx.lines.join()).toContain("/out: it leads to another origin");
  });

  test("goes anywhere with same_origin false, and heeds every origin's robots.txt", async () => {
    await using closed = site({ "/": "", "/robots.txt": () => new Response("User-agent: *\nDisallow: /") });
    await using elsewhere = site({ "/": links("/more"), "/more": "" });
    await using server = site({ "/": links(elsewhere.origin, closed.origin, "/in"), "/in": "" });
    const output = await crawl({ url: server.origin, max_pages: 500, same_origin: false }, context());
    expect(output.pages.map(({ url }) => url)).toEqual([
      `${server.origin}/`,
      `${elsewhere.origin}/`,
      `${server.origin}/in`,
      `${elsewhere.origin}/more`,
    ]);
    expect(closed.requests).toEqual(["/robots.txt"]);
  });

  test("counts a page and the redirects to it once", async () => {
    await using server = site({
      "/": links("/old", "/new", "/older", "/home"),
      "/old": () => redirect("/new"),
      "/older": () => redirect("/old"),
      "/new": "<title>new</title>",
      "/home": () => redirect("/"),
    });
    const output = await crawl({ url: server.origin, max_pages: 500 }, context());
    expect(paths(output, server)).toEqual(["/", "/new"]);
  });

  test("notes later pages that cannot be had, and goes on", async () => {
    await using server = site({
      "/": links("/404", "/500", "/loop", "/big", "/gone", "/bad", "/ok"),
      "/500": () => new Response("no", { status: 500 }),
      "/loop": () => redirect("/loop"),
      "/big": () => html(new Uint8Array(9 * 1024 * 1024)),
      "/gone": () => redirect("http://10.0.0.1/"),
      "/bad": () => html("no gzip", { "content-encoding": "gzip" }),
      "/ok": "<title>ok</title>",
    });
    const ctx = context({ guard: { allowPrivate: (address) => address === "127.0.0.1" } });
    const output = await crawl({ url: server.origin, max_pages: 500, same_origin: false }, ctx);
    expect(output.pages.slice(1).map(({ url, status, error }) => [url.replace(server.origin, ""), status, error])).toEqual([
      ["/404", 404, "it answered 404"],
      ["/500", 500, "it answered 500"],
      ["/loop", null, "more than 10 redirects"],
      ["/big", 200, "it is too large: more than 8388608 bytes"],
      ["http://10.0.0.1/", null, expect.stringContaining("10.0.0.1 is refused")],
      ["/bad", 200, expect.stringContaining("cannot be decompressed")],
      ["/ok", 200, undefined],
    ]);
    expect(output.pages[1]).toMatchObject({ title: null, headings: [], links: [], words: 0, bytes: 0 });
    expect(ctx.lines.filter((line) => line.startsWith("warn"))).toHaveLength(6);
  });

  test("ends although a site has no end", async () => {
    await using server = site((_, path) => (path === "/" ? html(links("/r0")) : redirect(`/r${Math.random()}`)));
    const output = await crawl({ url: server.origin, max_pages: 2 }, context());
    expect(output.pages.map(({ error }) => error)).toEqual([undefined, "more than 10 redirects"]);
    await using maze = site((_, path) =>
      path === "/robots.txt"
        ? new Response("User-agent: *\nDisallow: /x")
        : html(links(...Array.from({ length: 2_000 }, (_, at) => `/x${at}`))),
    );
    const ctx = context();
    expect((await crawl({ url: maze.origin, max_pages: 50 }, ctx)).pages_total).toBe(1);
    expect(ctx.lines.length).toBeLessThan(250);
  });

  test("of pages full of links stays well under the 8 MiB that a result may have", async () => {
    const many = Array.from({ length: 2_500 }, (_, at) => `/${at}-${"x".repeat(300)}`);
    const body = `<title>${"日".repeat(900)}</title><meta name=description content="${"本".repeat(2_000)}">${"<h2>heading</h2>".repeat(600)}${links(...many)}`;
    await using server = site((_, path) => (path === "/robots.txt" ? new Response("", { status: 404 }) : html(body)));
    const ctx = context();
    const output = await crawl({ url: server.origin, max_pages: 15 }, ctx);
    const bytes = Buffer.byteLength(JSON.stringify(output));
    expect(bytes).toBeLessThan(6.5 * 1024 * 1024);
    expect(output.pages_total).toBe(15);
    expect(output.pages[0]).toMatchObject({ links: { length: 2_000 }, headings: { length: 500 } });
    expect(output.links_total).toBe(new Set(output.pages.flatMap((page) => page.links)).size);
    expect(ctx.lines.join()).toContain("left out");
  });

  test("that runs out of time returns what it has, and says so", async () => {
    await using server = site(tree);
    const ctx = context();
    const output = await crawl({ url: server.origin, max_pages: 500 }, ctx, 0);
    expect(paths(output, server)).toEqual(["/"]);
    expect(ctx.lines).toEqual([expect.stringMatching(/^warn stopped early/)]);
    expect(ctx.shares.at(-1)).toBe(1);
  });

  test("reports progress that never goes back, and is 1 at the end only", async () => {
    await using server = site({ ...tree, "/a": links(...Array.from({ length: 30 }, (_, at) => `/n${at}`)) });
    const ctx = context();
    await crawl({ url: server.origin, max_pages: 20 }, ctx);
    expect(ctx.shares).toEqual(ctx.shares.toSorted((a, b) => a - b));
    expect(ctx.shares[0]).toBe(0);
    expect(ctx.shares.filter((share) => share === 1)).toHaveLength(1);
    expect(ctx.shares.at(-1)).toBe(1);
    expect(ctx.shares).toHaveLength(21);
    expect(ctx.messages[1]).toBe("1 of 3 pages");
  });
});

describe("the signal", () => {
  const reason = new Error("cancelled");

  test("ends the first request", async () => {
    const abort = new AbortController();
    await using server = await rawServer((socket, sent) => {
      if (sent.includes("robots.txt")) socket.write("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
      else abort.abort(reason);
    });
    expect(await rejection(crawl({ url: server.origin }, context({ signal: abort.signal })))).toBe(reason);
    await server.closed;
  });

  test("ends all requests that are on their way", async () => {
    const abort = new AbortController();
    const aborted: Promise<void>[] = [];
    const hang: Handler = (request) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      request.signal.addEventListener("abort", () => resolve());
      aborted.push(promise);
      if (aborted.length === 4) abort.abort(reason);
      return new Promise<Response>(() => {});
    };
    await using server = site({
      "/": links("/1", "/2", "/3", "/4", "/5"),
      "/1": hang,
      "/2": hang,
      "/3": hang,
      "/4": hang,
      "/5": hang,
    });
    expect(await rejection(crawl({ url: server.origin, max_pages: 9 }, context({ signal: abort.signal })))).toBe(reason);
    await Promise.all(aborted);
    expect(aborted).toHaveLength(4);
  });

  test("ends the wait for robots.txt, and the download of a body", async () => {
    for (const hangs of ["/robots.txt", "/"]) {
      const abort = new AbortController();
      await using server = await rawServer((socket, sent) => {
        if (!sent.startsWith(`GET ${hangs} `)) return void socket.write("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        socket.write("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 99\r\n\r\n<p>");
        abort.abort(reason);
      });
      expect(await rejection(crawl({ url: server.origin }, context({ signal: abort.signal })))).toBe(reason);
    }
  });
});
