import { ArtelError } from "../../domain/errors.ts";
import type { Io } from "../commands.ts";
import type { Api } from "./api.ts";
import { Following } from "./follow.ts";
import { canRedraw, lookOf } from "./look.ts";
import { type Display, PlainLines, ProgressLine } from "./progress-line.ts";
import type { TaskView } from "./shapes.ts";
import { clean } from "./show.ts";
import { reasonOf } from "./trouble.ts";
import { newReasons } from "./why-queued.ts";
import { ENGLISH } from "./words-en.ts";

/**
 * Submits a task and shows it to its end. The first Ctrl-C asks the server to cancel it, the second leaves at once.
 *
 * @param json stdout belongs to the task's JSON: progress is for a terminal on stderr, or for nobody
 * @param submit gives the task's id
 * @returns the task as it ended
 * @throws ArtelError `left`
 */
export async function watch(api: Api, io: Io, json: boolean, submit: () => Promise<string>): Promise<TaskView> {
  const display = displayFor(io, json);
  // What concerns the connection is no progress: it goes to stderr, or above the line that is drawn.
  const say = (line: string): void => (display instanceof ProgressLine ? display : { say: io.error }).say(`artel: ${line}`);
  const sayWhy = newReasons((why) => say(`queued: ${clean(why)}`));
  const following = new Following(api, {
    changed: (task) => display?.task(task, true),
    progressed: (task) => display?.task(task, false),
    waits: (why) => (display instanceof ProgressLine ? display.waits(why) : sayWhy(why)),
    lost: (reason) => say(`connection lost (${reasonOf(reason, ENGLISH)}); trying again, nothing will be missed`),
    back: () => say("connected again"),
  });
  const left = Promise.withResolvers<never>();
  const toItsEnd = async (): Promise<TaskView> => {
    await following.ready;
    io.onSignal((count) => {
      if (count > 1) return left.reject(new ArtelError("left", "left before the task had ended: artel task list shows it"));
      say("cancelling; Ctrl-C again leaves at once");
      following.cancel();
    });
    following.follow(await submit());
    return await following.ended;
  };
  try {
    return await Promise.race([toItsEnd(), left.promise]);
  } finally {
    following.close();
    display?.end();
  }
}

function displayFor(io: Io, json: boolean): Display | undefined {
  const output = json ? process.stderr : process.stdout;
  const look = lookOf(output, io.environment);
  if (canRedraw(output, io.environment)) return new ProgressLine(output, look);
  if (json && !output.isTTY) return undefined;
  return new PlainLines(json ? io.error : io.out, look);
}
