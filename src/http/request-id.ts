/** What a caller may name its requests by. */
const ACCEPTABLE = /^[\w.:-]{1,128}$/;

/** Ids that tie log lines to requests: the caller's X-Request-Id, or a new one the first time that a line needs it. */
export function requestIds() {
  const made = new WeakMap<Request, string>();
  return {
    of(request: Request): string {
      const known = made.get(request);
      if (known !== undefined) return known;
      const given = request.headers.get("x-request-id");
      const id = given !== null && ACCEPTABLE.test(given) ? given : crypto.randomUUID();
      made.set(request, id);
      return id;
    },
  };
}
