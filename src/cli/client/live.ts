import type { Desk } from "./desk.ts";
import type { KnownTask } from "./known-tasks.ts";
import { Interrupted } from "./screen.ts";
import { hasEnded } from "./shapes.ts";
import { taskLine, taskLines } from "./show.ts";
import { Trouble } from "./trouble.ts";
import { newReasons, WhyQueued } from "./why-queued.ts";

/** A list shows so many tasks. */
const LISTED = 20;
/** Of the screen's rows, these are kept for the line that is typed into and what is told meanwhile. */
const KEPT_ROWS = 6;

/** The latest tasks; while some of them have not ended, with their progress, until Enter. */
export async function liveList(desk: Desk): Promise<void> {
  const { items } = await desk.until(desk.api.list({ limit: LISTED }));
  for (const task of items) desk.tasks.learn(task);
  const { rows, interactive } = desk.screen;
  const shown = items.map((task) => task.task_id).slice(0, Math.max(1, rows - KEPT_ROWS));
  if (shown.length === 0) return desk.say(desk.words.noTasks);
  const states = () => shown.flatMap((id) => desk.tasks.get(id) ?? []).reverse();
  const lines = (): readonly string[] => taskLines(states(), desk.look);
  if (interactive) await live(desk, lines, () => states().every(hasEnded));
  desk.say(...lines());
}

/**
 * Follows a task to its end, or until Enter.
 *
 * @throws Trouble where it has not become what was wished
 */
export async function watchTask(desk: Desk, id: string): Promise<void> {
  const asked = await desk.until(desk.api.task(id));
  desk.tasks.learn(asked);
  let { waiting } = asked;
  const state = (): KnownTask | undefined => withWaiting(desk.tasks.get(id), waiting);
  const lines = (): readonly string[] => [state()].flatMap((task) => (task ? [taskLine(task, desk.look)] : []));
  const tell = desk.screen.interactive ? () => undefined : tenths(desk);
  const sayWhy = newReasons(() => desk.say(...lines()));
  const why = new WhyQueued(
    () => desk.api.task(id),
    (reason) => {
      waiting = reason;
      if (desk.screen.interactive) desk.redraw();
      else sayWhy(reason);
    },
  );
  desk.watched = id;
  try {
    await live(desk, lines, () => {
      const task = state();
      if (task) tell(task);
      why.heed(task?.status ?? "");
      return task === undefined || (hasEnded(task) && desk.isTold(task));
    });
  } finally {
    why.stop();
    desk.watched = undefined;
  }
  const task = state();
  if (task === undefined) throw new Trouble(desk.words.noSuchTask(id));
  if (task.status === "failed" || task.status === "cancelled") throw new Trouble(taskLine(task, desk.look));
}

const withWaiting = (task: KnownTask | undefined, waiting: string | undefined): KnownTask | undefined =>
  task && waiting !== undefined ? { ...task, waiting } : task;

/** A pipe, which has no line that is drawn again, is told of each tenth. */
function tenths(desk: Desk): (task: KnownTask) => void {
  let told = 0;
  return (task) => {
    const tenth = Math.floor((task.progress ?? 0) * 10);
    if (tenth > told && !hasEnded(task)) desk.say(taskLine(task, desk.look));
    told = Math.max(told, tenth);
  };
}

/** The end that was waited for has come: the question is taken back. */
class Over extends Error {
  override readonly name = "Over";
}

/** Shows lines above the prompt until all has ended or Enter is pressed; a pipe waits for the end. */
async function live(desk: Desk, lines: () => readonly string[], ended: () => boolean): Promise<void> {
  const over = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const look = (): void => {
    if (!desk.following) reject(new Trouble(desk.words.notLoggedIn));
    else if (!desk.stale && ended()) resolve();
  };
  const unlisten = desk.onChange(look);
  const unshow = desk.showing(lines);
  look();
  try {
    if (!desk.screen.interactive) return await desk.until(promise);
    const left = desk.screen.ask({ prompt: desk.words.enterEnds, signal: over.signal });
    await Promise.race([promise.finally(() => over.abort(new Over())), left]);
  } catch (error) {
    if (!(error instanceof Interrupted || error instanceof Over)) throw error;
  } finally {
    unlisten();
    unshow();
  }
}
