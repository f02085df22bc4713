// Removes the smaller copies of pictures that nobody has made anew for some time, each night at half past three in Berlin.
// Shows: a schedule that heeds a time zone and its summer time, a task that begins once however many are submitted.
// artel run nightly --days 7 --watch; admins see it at GET /schedules, and run it by POST /schedules/nightly/run
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { t, task } from "artel";

const COPIES = join(process.env["IMAGES"] ?? join(import.meta.dirname, "../images"), "resized");
const DAY_MS = 86_400_000;

export default task({
  description: "Removes copies of pictures that are older than some days",
  // Everybody who has an account may submit a task: what it removes should be what can be made again.
  input: t.Object({ days: t.Integer({ minimum: 1, maximum: 3_650 }) }),
  schedule: {
    cron: "30 3 * * *",
    timeZone: "Europe/Berlin",
    input: { days: 30 },
    missed: "skip", // a night without a server is made up for by the next one
  },
  concurrency: 1,

  async run({ days }, ctx) {
    const before = Date.now() - days * DAY_MS;
    const names = await readdir(COPIES).catch(whereMissing([]));
    let [removed, bytes] = [0, 0];
    for (const [index, name] of names.entries()) {
      ctx.signal.throwIfAborted();
      const path = join(COPIES, name);
      const file = await stat(path).catch(whereMissing(undefined));
      if (file?.isFile() && file.mtimeMs < before) {
        await rm(path, { force: true });
        removed += 1;
        bytes += file.size;
      }
      ctx.progress(index + 1, names.length);
    }
    ctx.log.info("removed", removed, "of", names.length, "files");
    return { removed, bytes, kept: names.length - removed };
  },
});

/** What there is instead of a file or folder that is not there, which is no error here. */
function whereMissing<T>(instead: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === "ENOENT") return instead;
    throw error;
  };
}
