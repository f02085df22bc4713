// Adds up what many crawls have found: the last step of ../workflows/sites.json, which crawls some sites at the same time.
// Shows: a task that takes other tasks' results, of which it names the fields that it needs and lets the others pass.
// curl $API/workflows -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d @sites.json
import { t, task } from "artel";

/** Objects are closed unless they say otherwise: a field more would be refused. */
const open = { additionalProperties: true };
const Page = t.Object({ url: t.String(), words: t.Integer(), bytes: t.Integer(), error: t.Optional(t.String()) }, open);
const Crawl = t.Object({ pages: t.Array(Page), pages_total: t.Integer(), links_total: t.Integer() }, open);

export default task({
  description: "Adds up what many crawls have found",
  input: t.Object({ crawls: t.Array(Crawl, { minItems: 1 }) }),

  run({ crawls }) {
    const pages = crawls.flatMap((crawl) => crawl.pages);
    const read = pages.filter((page) => page.error === undefined);
    const sum = (of: readonly number[]): number => of.reduce((total, n) => total + n, 0);
    return {
      sites: crawls.length,
      pages: sum(crawls.map((crawl) => crawl.pages_total)),
      unread: pages.length - read.length,
      links: sum(crawls.map((crawl) => crawl.links_total)),
      words: sum(read.map((page) => page.words)),
      bytes: sum(read.map((page) => page.bytes)),
      longest: read.toSorted((a, b) => b.words - a.words)[0]?.url ?? null,
    };
  },
});
