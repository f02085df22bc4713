/** Whether a request's Origin may open a WebSocket here; a request without one is no browser's. */
export type OriginCheck = (request: Request) => boolean;

/** Origins as browsers send them: lower case, no slash at the end. */
export const normalOrigins = (origins: readonly string[]): string[] =>
  origins.map((origin) => origin.toLowerCase().replace(/\/+$/, ""));

/** @param allowed origins beside the server's own, such as `https://app.example.com`; `*` allows every one */
export function originCheck(allowed: readonly string[]): OriginCheck {
  const known = new Set(normalOrigins(allowed));
  return (request) => {
    const origin = request.headers.get("origin");
    if (origin === null || known.has("*") || known.has(origin)) return true;
    return URL.canParse(origin) && new URL(origin).host === request.headers.get("host")?.toLowerCase();
  };
}
