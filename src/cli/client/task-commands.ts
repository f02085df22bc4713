import { closest } from "../../domain/closest.ts";
import type { Desk } from "./desk.ts";
import { fillIn } from "./form.ts";
import { liveList, watchTask } from "./live.ts";
import { resultText } from "./result.ts";
import type { Definition, TaskView } from "./shapes.ts";
import { clean, fit, logLines, paint, shortId, taskDetails } from "./show.ts";
import { Trouble } from "./trouble.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** More ids are not listed where one is not clear. */
const LISTED_IDS = 5;

export async function taskCommand(desk: Desk, [name]: readonly string[]): Promise<void> {
  const definitions = await desk.until(desk.api.definitions());
  if (definitions.length === 0) throw new Trouble(desk.words.noDefinitions);
  const definition = name === undefined ? await choose(desk, definitions) : pick(desk, definitions, name);
  const input = await fillIn(desk, definition);
  const { name: submitted } = definition;
  const { task_id, status } = await desk.until(desk.api.submit(submitted, input));
  // What comes next may mean it, before its first notice does.
  desk.tasks.learn({ task_id, status, name: submitted, progress: null, message: null, attempt: 1, error: null, seq: 0 });
  desk.say(desk.words.submitted(clean(submitted), clean(task_id)));
}

async function choose(desk: Desk, definitions: readonly Definition[]): Promise<Definition> {
  const { screen, words, look } = desk;
  const width = Math.max(...definitions.map(({ name }) => name.length));
  definitions.forEach(({ name, description }, i) => {
    const number = String(i + 1).padStart(String(definitions.length).length);
    const line = `${number}  ${clean(name).padEnd(width)}  ${paint(clean(description), "dim", look)}`;
    desk.say(fit(line.trimEnd(), look.columns));
  });
  for (;;) {
    const names = definitions.map((each) => each.name);
    const answer = (await screen.ask({ prompt: words.whichTask, complete: () => names })).trim();
    try {
      return definitions[Number(answer) - 1] ?? pick(desk, definitions, answer);
    } catch (error) {
      if (!(error instanceof Trouble && screen.interactive)) throw error;
      desk.say(error.message);
    }
  }
}

/** @throws Trouble with what may have been meant */
function pick({ words }: Desk, definitions: readonly Definition[], name: string): Definition {
  const names = definitions.map((each) => each.name);
  const found = definitions.find((each) => each.name === name);
  if (found) return found;
  throw new Trouble(`${words.noSuchName(clean(name), closest(name, names))}\n${words.knownCommands(names.map(clean))}`);
}

export async function tasksCommand(desk: Desk): Promise<void> {
  await liveList(desk);
}

export async function watchCommand(desk: Desk, words: readonly string[]): Promise<void> {
  const id = await idOf(desk, words);
  await watchTask(desk, id);
  const task = await desk.until(desk.api.task(id));
  showResult(desk, task);
}

export async function showCommand(desk: Desk, words: readonly string[]): Promise<void> {
  const task = await desk.until(desk.api.task(await idOf(desk, words)));
  desk.say(...taskDetails(task, desk.look));
  showResult(desk, task);
}

function showResult({ screen, look, words }: Desk, { status, result }: TaskView): void {
  if (status !== "done") return;
  screen.print(`${paint(`${words.labels.result}:`, "dim", look)}\n${resultText(result, look)}`);
}

export async function logsCommand(desk: Desk, words: readonly string[]): Promise<void> {
  const lines = await desk.until(desk.api.logs(await idOf(desk, words)));
  desk.say(...(lines.length > 0 ? logLines(lines, desk.look) : [desk.words.noLogs]));
}

export async function cancelCommand(desk: Desk, words: readonly string[]): Promise<void> {
  const { task_id } = await desk.until(desk.api.cancel(await idOf(desk, words)));
  desk.say(desk.words.cancelling(shortId(task_id)));
}

export async function retryCommand(desk: Desk, words: readonly string[]): Promise<void> {
  const { task_id } = await desk.until(desk.api.retry(await idOf(desk, words)));
  desk.say(desk.words.retried(shortId(task_id)));
}

/**
 * The id that was given, whole or in part; where none was, it is asked for, and an empty answer means the newest task.
 *
 * @throws Trouble
 */
async function idOf(desk: Desk, [given]: readonly string[]): Promise<string> {
  const { words, tasks } = desk;
  await desk.until(desk.session.token());
  const word = given ?? (await askForId(desk));
  if (UUID.test(word)) return word.toLowerCase();
  if (tasks.meantBy(word).length === 0) await desk.until(desk.learn());
  const [id, ...others] = tasks.meantBy(word);
  if (id === undefined) throw new Trouble(words.noSuchTask(clean(word)));
  if (others.length === 0) return id;
  throw new Trouble(words.manyTasks(clean(word), [id, ...others].slice(0, LISTED_IDS).map(shortId)));
}

async function askForId({ screen, words, tasks }: Desk): Promise<string> {
  const [newest] = tasks.latest(1);
  if (newest === undefined) throw new Trouble(words.noTasks);
  const complete = (word: string): readonly string[] => tasks.completions(word);
  const answer = (await screen.ask({ prompt: words.whichId(shortId(newest.task_id)), complete })).trim();
  return answer === "" ? newest.task_id : answer;
}
