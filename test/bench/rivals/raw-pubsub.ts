/**
 * Bun's own pub/sub and nothing else: greets, follows the topic that is asked for or one that all follow, and on
 * POST /?topics=N&each=N publishes so many pairs of messages, as long as Artel's, on each topic.
 */
import { END } from "../sockets.ts";

/** As long as the notice of a start, and of an end. */
const START = `{"type":"task",${" ".repeat(370)}"status":"in progress"}`;
const ENDED = `{"type":"task",${" ".repeat(370)}${END}}`;

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch(request, listener) {
    if (request.method === "POST") return publish(new URL(request.url).searchParams);
    return listener.upgrade(request) ? undefined : new Response("ok");
  },
  websocket: {
    open(ws) {
      ws.subscribe("all");
      ws.send('{"type":"ready"}');
    },
    message(ws, message) {
      ws.unsubscribe("all");
      ws.subscribe(String(message));
      ws.send('{"type":"subscribed"}');
    },
  },
});

function publish(query: URLSearchParams): Response {
  const topics = Number(query.get("topics"));
  for (let i = 0; i < Number(query.get("each")); i += 1) {
    for (let topic = 0; topic < Math.max(1, topics); topic += 1) {
      for (const text of [START, ENDED]) server.publish(topics === 0 ? "all" : `topic-${topic}`, text);
    }
  }
  return new Response("published");
}

console.log(`http://127.0.0.1:${server.port}`);
