// Asks a service that allows so much and no more, on behalf of many users.
// Shows: at most four at a time, one of each user, begun no faster than the service allows: on all machines together.
// artel run limits --url https://example.com/ --watch; admins see how many wait at GET /queues
import { TaskError, t, task } from "artel";

export default task({
  description: "Asks a service that has limits",
  // A queue of its own: it can be paused by itself (POST /queues/outside/pause), and be left to some workers (--queues).
  queue: "outside",
  input: t.Object({ url: t.String({ format: "uri" }) }),
  concurrency: 4,
  perUser: 1,
  rate: { limit: 600, per: "1m", burst: 4 }, // four at once after a quiet time, else one every tenth of a second
  unique: true, // who asks for the same while the first one waits gets the first one
  timeout: "30s",

  async run({ url }, ctx) {
    const response = await ctx.fetch(url);
    const bytes = (await response.bytes()).length;
    if (!response.ok) throw new TaskError("not_answered", `the service answered ${response.status}`);
    return { status: response.status, type: response.headers.get("content-type"), bytes };
  },
});
