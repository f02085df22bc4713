/** A Bun.serve that reads and writes JSON and does nothing else: the limit of every route. */
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    if (request.method !== "POST") return new Response("ok");
    const body = (await request.json()) as { n: number };
    return Response.json({ task_id: "0190a0b0-0000-7000-8000-000000000000", status: "queued", n: body.n }, { status: 202 });
  },
});
console.log(`http://127.0.0.1:${server.port}`);
