import { describe, expect, test } from "bun:test";
import { crawl } from "../../src/tasks/parse/crawl.ts";
import { context, type Handler, redirect, rejection, site } from "./harness.ts";

const PAGES = {
  "/": '<a href="/open">x</a><a href="/closed/1">x</a><a href="/closed/but-open">x</a><a href="/?q=1">x</a>',
  "/open": "",
  "/closed/1": "",
  "/closed/but-open": "",
  "/?q=1": "",
};
const ALL = ["/", "/open", "/closed/1", "/closed/but-open", "/?q=1"];

async function visited(robots: Handler): Promise<string[]> {
  await using server = site({ ...PAGES, "/robots.txt": robots });
  const { pages } = await crawl({ url: server.origin, max_pages: 10 }, context());
  return pages.map(({ url }) => url.replace(server.origin, ""));
}

const rules = (text: string) => visited(() => new Response(text));

describe("robots.txt", () => {
  test.each([
    ["User-agent: *\nDisallow: /closed", ["/", "/open", "/?q=1"]],
    ["User-agent: *\nDisallow: /closed\nAllow: /closed/but", ["/", "/open", "/closed/but-open", "/?q=1"]],
    ["User-agent: *\nDisallow: /*?", ["/", "/open", "/closed/1", "/closed/but-open"]],
    ["User-agent: *\nDisallow: /open$ # not today", ["/", "/closed/1", "/closed/but-open", "/?q=1"]],
    // The group with our name counts, and then the one for all does not.
    ["User-agent: ARTEL\nDisallow: /open\n\nUser-agent: *\nDisallow: /closed", ["/", "/closed/1", "/closed/but-open", "/?q=1"]],
    ["\ufeffUser-agent: Other\nUser-agent: artel/2.0\nDisallow: /closed\r\n", ["/", "/open", "/?q=1"]],
    ["User-agent: Other\nDisallow: /", ALL],
    ["User-agent: *\nDisallow:", ALL],
    ["<html>no such page</html>", ALL],
    ["", ALL],
  ])("%p", async (text, expected) => {
    expect(await rules(text)).toEqual(expected);
  });

  test.each([400, 401, 403, 404, 410, 429])("that answers %d allows all", async (status) => {
    expect(await visited(() => new Response("User-agent: *\nDisallow: /closed", { status }))).toEqual(ALL);
  });

  test.each([500, 503])("that answers %d closes the site: the task is tried again", async (status) => {
    const error = await rejection(visited(() => new Response("no", { status })));
    expect(error).toMatchObject({
      name: "TaskError",
      code: "fetch_failed",
      message: expect.stringContaining(`robots.txt answered ${status}`),
    });
  });

  test("that redirects is followed, and one that does so for ever allows all", async () => {
    await using server = site({ "/robots.txt": () => new Response("User-agent: *\nDisallow: /closed") });
    expect(await visited(() => redirect(`${server.origin}/robots.txt`))).toEqual(["/", "/open", "/?q=1"]);
    expect(await visited(() => redirect("/robots.txt"))).toEqual(ALL);
  });

  test("that disallows the first page fails the task for good", async () => {
    const error = await rejection(rules("User-agent: *\nDisallow: /"));
    expect(error).toMatchObject({
      name: "NonRetryableError",
      code: "fetch_failed",
      message: expect.stringContaining("robots.txt disallows it"),
    });
  });

  test("holds at every hop of a redirect", async () => {
    await using server = site({
      "/": '<a href="/go">x</a>',
      "/go": () => redirect("/closed/1"),
      "/closed/1": "",
      "/robots.txt": () => new Response("User-agent: *\nDisallow: /closed"),
    });
    const ctx = context();
    expect((await crawl({ url: server.origin, max_pages: 5 }, ctx)).pages_total).toBe(1);
    expect(server.requests).not.toContain("/closed/1");
    expect(ctx.lines).toEqual([`info skipped ${server.origin}/go: robots.txt disallows it`]);
  });

  test("is asked for once an origin, and read no further than 500 KiB", async () => {
    const filler = `# ${"x".repeat(98)}\n`.repeat(6_000);
    await using server = site({
      ...PAGES,
      "/robots.txt": () => new Response(`User-agent: *\nDisallow: /open\n${filler}Disallow: /closed`),
    });
    const { pages } = await crawl({ url: server.origin, max_pages: 10 }, context());
    expect(pages.map(({ url }) => url.replace(server.origin, ""))).toEqual(["/", "/closed/1", "/closed/but-open", "/?q=1"]);
    expect(server.requests.filter((path) => path === "/robots.txt")).toHaveLength(1);
  });

  test("may ask for a delay between requests, which is heeded within reason", async () => {
    const delays = async (text: string, max_pages: number) => {
      await using server = site({ ...PAGES, "/robots.txt": () => new Response(`User-agent: *\nCrawl-delay: ${text}`) });
      const ctx = context();
      await crawl({ url: server.origin, max_pages }, ctx);
      return ctx.sleeps;
    };
    // The context does not really sleep, so that each request is a whole delay later than the one before.
    const sleeps = await delays("8", 5);
    expect(sleeps).toHaveLength(4);
    for (const [at, ms] of sleeps.entries()) expect(ms).toBeWithin(8_000 * (at + 1) - 6_000, 8_000 * (at + 1) + 1);
    // No longer than 10 s, nor than lets 500 pages fit into the task's time.
    expect(Math.max(...(await delays("86400", 2)))).toBeWithin(4_000, 10_001);
    expect(Math.max(...(await delays("5", 500)))).toBeWithin(960, 4 * 960 + 1);
    expect(await delays("soon", 5)).toEqual([]);
    expect(await delays("-1", 5)).toEqual([]);
  });
});
