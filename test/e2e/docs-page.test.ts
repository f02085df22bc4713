import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { chromiumPath, type OpenPage, openPage } from "../support/browser.ts";
import { executable } from "../support/executable.ts";

/** Long enough for a busy machine; every wait ends with what it waits for. */
const LIMIT_MS = 60_000;
const PASSWORD = "correct horse battery";

const TREE_TASK = `
import { task } from "artel";
const tree = {
  type: "object",
  properties: { label: { type: "string", examples: ["root"] }, children: { type: "array", items: { $ref: "#/$defs/tree" } } },
  required: ["label"],
  additionalProperties: false,
};
export default task({
  description: "Counts the leaves of a tree.",
  input: { $ref: "#/$defs/tree", $defs: { tree } },
  run: () => 1,
});
`;

interface Started {
  readonly url: string;
  stop(): Promise<void>;
}

/** The executable in an empty folder, on a port of its own. */
async function start(): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), "artel-docs-"));
  mkdirSync(join(folder, "tasks"));
  writeFileSync(join(folder, "tasks", "tree.ts"), TREE_TASK);
  const command = [await executable(), "serve", "--port", "0", "--data", "data", "--tasks", "tasks", "--log-level", "warn"];
  const env = { PATH: process.env["PATH"] ?? "", HOME: folder, ARTEL_ALLOW_PRIVATE_HOSTS: "1" };
  const child = Bun.spawn([...command, "--threads", "1"], { cwd: folder, env, stdout: "pipe", stderr: "inherit" });
  let said = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    said += decoder.decode(chunk, { stream: true });
    if (said.includes("\n")) break;
  }
  const url = /http:\/\/[^\s/]+/.exec(said)?.[0];
  if (url === undefined) throw new Error(`the server did not say where it serves: ${said}`);
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
    rmSync(folder, { recursive: true, force: true });
  };
  return { url, stop };
}

/** One operation on the page. */
function operation(page: Page, tag: string, id: string) {
  const block = page.locator(`[id="operations-${tag}-${id}"]`);
  return {
    block,
    open: () => block.locator(".opblock-summary-control").click(),
    /** @returns the status and the body that the page shows */
    async execute(input?: object): Promise<{ status: number; body: string }> {
      if (input) await block.locator("textarea").fill(JSON.stringify(input));
      const answered = page.waitForResponse((response) => response.request().resourceType() === "fetch");
      await block.locator("button.execute").click();
      const status = (await answered).status();
      const row = block.locator(".live-responses-table .response");
      await row.filter({ hasText: String(status) }).waitFor();
      const body = status === 204 ? null : await row.locator(".highlight-code code").textContent();
      return { status, body: body ?? "" };
    },
  };
}

if (chromiumPath === undefined) console.log("chromium not found: the tests of the docs page are left out");

describe.skipIf(chromiumPath === undefined)("the docs page of the executable, in a browser without any other network", () => {
  let server: Started;
  let site: ReturnType<typeof Bun.serve>;
  let opened: OpenPage;
  let page: Page;

  beforeAll(async () => {
    site = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response("<title>A small site</title><p>some words", { headers: { "content-type": "text/html" } }),
    });
    server = await start();
    opened = await openPage(server.url);
    page = opened.page;
    page.setDefaultTimeout(LIMIT_MS / 2);
    await page.goto(`${server.url}/docs`);
    await page.locator(".opblock").first().waitFor();
  }, LIMIT_MS * 5);

  afterAll(async () => {
    await opened?.close();
    await server?.stop();
    await site?.stop(true);
  }, LIMIT_MS);

  test(
    "shows every task with its own fields, the useful things first",
    async () => {
      expect(await page.title()).toBe("Artel API");
      const shown = await page.locator(".opblock-summary-path").allInnerTexts();
      // Long paths have zero-width spaces in them, where they may break.
      const paths = shown.map((path) => path.replaceAll("\u200b", ""));
      expect(paths.slice(0, 2)).toEqual(["/auth/register", "/auth/login"]);
      expect(paths.slice(7, 10)).toEqual(["/tasks/parse", "/tasks/tree", "/tasks/{task}"]);
      const tree = operation(page, "tasks", "submit_tree");
      await tree.open();
      expect(JSON.parse(await tree.block.locator("textarea").inputValue())).toEqual({ label: "root" });
      await tree.block.getByRole("tab", { name: "Schema" }).first().click();
      // A schema that holds itself is shown as well.
      await tree.block.locator(".json-schema-2020-12__title", { hasText: "input.tree" }).first().waitFor();
      await tree.open();
      expect(await page.locator(".errors-wrapper").count()).toBe(0);
    },
    LIMIT_MS,
  );

  test(
    "registers, logs in, submits a task and reads its result",
    async () => {
      const account = { email: "ada@example.com", password: PASSWORD };
      const register = operation(page, "accounts", "register");
      await register.open();
      expect(await register.execute(account)).toMatchObject({ status: 201 });
      await page.locator(".btn.authorize.unlocked").waitFor();
      const login = operation(page, "accounts", "login");
      await login.open();
      expect(await login.execute(account)).toMatchObject({ status: 200 });
      // Nobody has to copy the token.
      await page.locator(".btn.authorize.locked").waitFor();

      const parse = operation(page, "tasks", "submit_parse");
      await parse.open();
      expect(JSON.parse(await parse.block.locator("textarea").inputValue())).toHaveProperty("max_pages", 1);
      const submitted = await parse.execute({ url: `http://127.0.0.1:${site.port}/` });
      expect(submitted.status).toBe(202);
      const { task_id: id } = JSON.parse(submitted.body) as { task_id: string };

      const read = operation(page, "tasks", "getTask");
      await read.open();
      // Nor the id.
      expect(await read.block.locator('input[placeholder="task"]').inputValue()).toBe(id);
      let answer = await read.execute();
      while (/"status": "(queued|in progress)"/.test(answer.body)) answer = await read.execute();
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.body)).toMatchObject({ task_id: id, status: "done", result: { pages_total: 1 } });
      expect(answer.body).toContain("A small site");
    },
    LIMIT_MS * 2,
  );

  test(
    "stays authorised over a reload and until the logout; a token can be given by hand",
    async () => {
      await page.reload();
      await page.locator(".btn.authorize.locked").waitFor();
      const logout = operation(page, "accounts", "logout");
      await logout.open();
      expect(await logout.execute()).toMatchObject({ status: 204 });
      await page.locator(".btn.authorize.unlocked").waitFor();

      const body = JSON.stringify({ email: "ada@example.com", password: PASSWORD });
      const headers = { "content-type": "application/json" };
      const tokens = (await (await fetch(`${server.url}/auth/login`, { method: "POST", headers, body })).json()) as object;
      await page.locator(".btn.authorize").click();
      const dialogue = page.locator(".modal-ux");
      await dialogue.locator("input").fill((tokens as { access_token: string }).access_token);
      await dialogue.locator("button.modal-btn.authorize").click();
      await dialogue.locator("button.btn-done").click();
      const me = operation(page, "accounts", "getAccount");
      await me.open();
      const answer = await me.execute();
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.body)).toMatchObject({ email: "ada@example.com" });
    },
    LIMIT_MS,
  );

  test("asked nothing of another origin and wrote no error to the console", () => {
    expect(opened.faults).toEqual({ elsewhere: [], errors: [] });
  });
});
