import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--headless=new",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The browser's path; undefined where there is none. */
export const chromiumPath: string | undefined = Bun.which("chromium") ?? undefined;

/** What a page did that it should not have. */
export interface PageFaults {
  /** Addresses outside of the page's origin that it asked for; none was let through. */
  readonly elsewhere: string[];
  /** Errors on the console, and those that nobody caught. */
  readonly errors: string[];
}

export interface OpenPage {
  readonly page: Page;
  readonly faults: PageFaults;
  close(): Promise<void>;
}

/** A page of a new browser with an empty profile. Of all the network it reaches `origin` alone. */
export async function openPage(origin: string): Promise<OpenPage> {
  const profile = mkdtempSync(join(tmpdir(), "artel-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    ...(chromiumPath === undefined ? {} : { executablePath: chromiumPath }),
    args: FLAGS,
    viewport: { width: 1280, height: 1000 },
  });
  const faults: PageFaults = { elsewhere: [], errors: [] };
  const page = context.pages()[0] ?? (await context.newPage());
  await watch(context, page, origin, faults);
  const close = async (): Promise<void> => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { page, faults, close };
}

async function watch(context: BrowserContext, page: Page, origin: string, faults: PageFaults): Promise<void> {
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") faults.errors.push(message.text());
  });
  page.on("pageerror", (error) => faults.errors.push(String(error)));
  page.on("websocket", (socket) => {
    if (new URL(socket.url()).host !== new URL(origin).host) faults.elsewhere.push(socket.url());
  });
  await context.route(
    (url) => url.origin !== origin,
    async (route) => {
      faults.elsewhere.push(route.request().url());
      await route.abort();
    },
  );
}
