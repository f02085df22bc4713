import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { expectStatus } from "../support/e2e-client.ts";
import { View } from "../support/e2e-view.ts";
import { LIMIT_MS } from "../support/waiting.ts";
import { placeWithExamples, serveExamples } from "./examples.ts";

setDefaultTimeout(LIMIT_MS);

/** Sites of some pages each, on one server: /SITE/PAGE has PAGE words beside its title, and a link to the page after it. */
function serveSites(pages: Readonly<Record<string, number>>): ReturnType<typeof Bun.serve> {
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch({ url }) {
      const [, site = "", page = ""] = new URL(url).pathname.split("/");
      const [number, all = 0] = [Number(page), pages[site]];
      if (!(number >= 1 && number <= all)) return new Response("none", { status: 404 });
      const link = number < all ? `<a href="/${site}/${number + 1}"></a>` : "";
      const html = `<title>${site}</title><p>${"word ".repeat(number)}</p>${link}`;
      return new Response(html, { headers: { "content-type": "text/html" } });
    },
  });
}

interface Chord {
  readonly chord: readonly { readonly task: string; readonly input: { readonly max_pages: number } }[];
}

test("sum: the workflow crawls sites at the same time, and adds up what was found", async () => {
  await using place = await placeWithExamples();
  const names = ["one", "three", "five"];
  await using sites = serveSites({ one: 1, three: 3, five: 5 });
  const { ada } = await serveExamples(place);
  const view = await View.open(ada);

  // As it is, but for the addresses.
  const written = (await Bun.file(join(import.meta.dir, "workflows/sites.json")).json()) as Chord;
  const address = (site: string, page: number) => `http://127.0.0.1:${sites.port}/${site}/${page}`;
  const chord = written.chord.map(({ task, input }, index) => ({
    task,
    input: { ...input, url: address(names[index] ?? "", 1) },
  }));
  const accepted = expectStatus(202, await ada.call("POST", "/workflows", { ...written, chord }));
  const { workflow_id: id, task_ids } = accepted as { workflow_id: string; task_ids: string[] };
  expect(task_ids).toHaveLength(4);
  await view.workflowsEnded([id]);
  // 1, 1 + 2 + 3 and 1 + 2 + 3 + 4 + 5 words.
  expect((await ada.call("GET", `/workflows/${id}`)).body).toMatchObject({
    status: "done",
    progress: 1,
    result: { sites: 3, pages: 9, unread: 0, links: 6, words: 22, longest: address("five", 5) },
  });

  // A site that cannot be had: what would add up is cancelled, and says why.
  const lost = [...chord, { task: "parse", input: { url: address("none", 1) } }];
  const other = expectStatus(202, await ada.call("POST", "/workflows", { ...written, chord: lost }));
  const { workflow_id: failed, task_ids: tasks } = other as { workflow_id: string; task_ids: string[] };
  await view.workflowsEnded([failed]);
  expect((await ada.call("GET", `/workflows/${failed}`)).body).toMatchObject({
    status: "failed",
    counts: { done: 3, failed: 1 },
  });
  expect(await ada.task(tasks[4] ?? "")).toMatchObject({ status: "cancelled", error: { code: "cancelled" } });
  expect(await ada.call("POST", "/tasks/sum", { crawls: [] })).toMatchObject({ status: 422 });
  view.close();
});
