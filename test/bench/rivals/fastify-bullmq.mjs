/**
 * POST /tasks/noop as one would build it of Fastify and BullMQ: a bearer token, a body checked by its schema, a job in Redis.
 * `node fastify-bullmq.mjs REDIS_URL`; plain JavaScript, for Node is where both are at home.
 */
import { Queue } from "bullmq";
import Fastify from "fastify";

const { hostname: host, port } = new URL(process.argv[2]);
const queue = new Queue("submit", { connection: { host, port: Number(port) } });
const app = Fastify({ logger: false });
const body = {
  type: "object",
  required: ["to", "n"],
  additionalProperties: false,
  properties: { to: { type: "string" }, n: { type: "number" } },
};
app.get("/", async () => "ok");
app.post("/tasks/noop", { schema: { body } }, async (request, reply) => {
  if (!request.headers.authorization?.startsWith("Bearer ")) return await reply.code(401).send({ code: "unauthorized" });
  const job = await queue.add("noop", request.body);
  return await reply.code(202).send({ task_id: job.id, status: "queued" });
});
console.log(await app.listen({ host: "127.0.0.1", port: 0 }));
