import favicon from "swagger-ui-dist/favicon-32x32.png" with { type: "file" };
import styles from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
import bundle from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };
import page from "./docs-page/index.html" with { type: "text" };
import pageStyles from "./docs-page/page.css" with { type: "text" };
import start from "./docs-page/start.js" with { type: "text" };
import { Representation } from "./representation.ts";

/** The page and what it loads: nothing comes from elsewhere, and nothing that is written into it runs. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  // Swagger UI's icons are data: URLs in its style sheet.
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const PAGE_HEADERS = { "content-security-policy": POLICY, "referrer-policy": "no-referrer" };

const text = (content: string) => async () => new TextEncoder().encode(content);
const file = (path: string) => () => Bun.file(path).bytes();

interface Asset {
  readonly bytes: () => Promise<Uint8Array<ArrayBuffer>>;
  readonly type: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const ASSETS = {
  "index.html": { bytes: text(page as unknown as string), type: "text/html; charset=utf-8", headers: PAGE_HEADERS },
  "page.css": { bytes: text(pageStyles), type: "text/css; charset=utf-8" },
  "start.js": { bytes: text(start), type: "text/javascript; charset=utf-8" },
  "swagger-ui.css": { bytes: file(styles), type: "text/css; charset=utf-8" },
  "swagger-ui-bundle.js": { bytes: file(bundle), type: "text/javascript; charset=utf-8" },
  "favicon.png": { bytes: file(favicon), type: "image/png" },
} satisfies Readonly<Record<string, Asset>>;

export type AssetName = keyof typeof ASSETS;
export const ASSET_NAMES = Object.keys(ASSETS) as AssetName[];

const loaded = new Map<AssetName, Promise<Representation>>();

/** Loaded when it is first asked for. */
export function asset(name: AssetName): Promise<Representation> {
  const known = loaded.get(name);
  if (known) return known;
  const { bytes, type, headers }: Asset = ASSETS[name];
  const made = bytes().then((content) => new Representation(content, type, headers));
  loaded.set(name, made);
  return made;
}
