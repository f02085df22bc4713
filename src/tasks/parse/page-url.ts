/** Longer ones are nobody's pages: the task's own input has the same limit. In UTF-16 units. */
const MAX_LENGTH = 2_048;

/**
 * A link as the URL of a page: absolute, without fragment, default port, user name and password, so that one page has
 * one URL. null when it leads to no page: another scheme than http(s), not valid, or longer than 2,048 characters.
 */
export function pageUrl(href: string, base?: string): string | null {
  if (href.length > 4 * MAX_LENGTH) return null;
  const url = URL.parse(href, base);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) return null;
  url.hash = "";
  url.username = "";
  url.password = "";
  return url.href.length <= MAX_LENGTH ? url.href : null;
}
