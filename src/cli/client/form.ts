import type { InputProblem } from "../../domain/errors.ts";
import { pointerTo } from "../../domain/json-pointer.ts";
import type { Desk } from "./desk.ts";
import { choicesOf, type Field, FieldError, fieldsOf, isList, isSwitch, readField } from "./fields.ts";
import { InputEnded } from "./screen.ts";
import type { Definition } from "./shapes.ts";
import { clean, paint } from "./show.ts";
import { problemText, Trouble } from "./trouble.ts";
import type { Words } from "./words-en.ts";

/** Answers to a question that can be yes or no. */
const YES = ["y", "yes", "true", "1", "д", "да"];
const NO = ["n", "no", "false", "0", "н", "нет"];
/** A default that is longer is not shown, in characters. */
const SHOWN_DEFAULT = 40;

type Check = (input: unknown) => readonly InputProblem[];

/**
 * Asks for a task's input, field by field, each answer checked at once. A pipe has one line for each field, whatever it says, so
 * that what follows the form is never taken for a part of it; where the pipe ends, the other fields are left out.
 *
 * @throws Trouble, Interrupted, InputEnded
 */
export async function fillIn(desk: Desk, { input }: Definition): Promise<unknown> {
  // The validator is large: only who needs it waits for it.
  const { checkOf } = await import("../../domain/schema-check.ts");
  const check = checkOf({ input });
  const fields = fieldsOf(input);
  if (fields.length === 0) return check({}).length === 0 ? {} : await wholeInput(desk, check);
  if (desk.screen.interactive) desk.say(paint(desk.words.formHint, "dim", desk.look));
  const given: Record<string, unknown> = {};
  const wrong: string[] = [];
  for (const field of fields) {
    const answer = await answerOf(desk, field, check);
    if (typeof answer === "string") wrong.push(`${clean(field.name)}: ${answer}`);
    else if (answer !== undefined) given[field.name] = answer.value;
  }
  if (wrong.length > 0) throw new Trouble(wrong.join("\n"));
  return given;
}

interface Value {
  readonly value: unknown;
}

/** @returns undefined: it is left out; a text: what is wrong with it, where nobody can be asked again */
async function answerOf(desk: Desk, field: Field, check: Check): Promise<Value | string | undefined> {
  const { screen, look } = desk;
  const about = aboutField(field, desk);
  if (screen.interactive && about !== "") desk.say(paint(about, "dim", look));
  for (;;) {
    const text = await textFor(desk, field);
    const answer = read(text, field, check, desk);
    if (typeof answer !== "string" || !screen.interactive) return answer;
    desk.say(paint(answer, "red", look));
  }
}

async function textFor(desk: Desk, field: Field): Promise<string> {
  const choices = isSwitch(field) ? yesNo(desk.words) : choicesOf(field).map(String);
  try {
    return (await desk.screen.ask({ prompt: promptOf(field, desk), complete: () => choices })).trim();
  } catch (error) {
    if (error instanceof InputEnded && !desk.screen.interactive && !field.required) return "";
    if (error instanceof InputEnded && !desk.screen.interactive) throw new Trouble(desk.words.inputEnded);
    throw error;
  }
}

function read(text: string, field: Field, check: Check, { words }: Desk): Value | string | undefined {
  if (text === "") return field.required && field.fallback === undefined ? words.required : undefined;
  try {
    const value = readField(field, textsOf(text, field));
    const path = pointerTo("", field.name);
    const problem = check({ [field.name]: structuredClone(value) }).find(
      (each) => each.path === path || each.path.startsWith(`${path}/`),
    );
    return problem === undefined ? { value } : words.invalid(problemText(problem.message, words));
  } catch (error) {
    if (error instanceof FieldError) return words.invalid(problemText(error.message, words));
    throw error;
  }
}

function textsOf(text: string, field: Field): string[] {
  if (isSwitch(field)) {
    if (YES.includes(text.toLowerCase())) return ["true"];
    if (NO.includes(text.toLowerCase())) return ["false"];
  }
  const list = isList(field) && text.includes(",") && !/^[[{"]/.test(text);
  return list ? text.split(",").map((part) => part.trim()) : [text];
}

/** The name with what Enter takes: `max_pages [1]: `. */
function promptOf(field: Field, { words }: Desk): string {
  const { name, required } = field;
  const taken = takenBy(field, words);
  if (taken !== "" && taken.length <= SHOWN_DEFAULT) return `${clean(name)} [${taken}]: `;
  return `${clean(name)}${required ? "" : ` (${words.optional})`}: `;
}

function takenBy({ fallback }: Field, words: Words): string {
  if (typeof fallback === "boolean") return yesNo(words)[fallback ? 0 : 1] ?? "";
  return fallback === undefined ? "" : clean(typeof fallback === "string" ? fallback : JSON.stringify(fallback));
}

const yesNo = (words: Words): string[] => words.yesNo.split("/");

function aboutField(field: Field, { words }: Desk): string {
  const hints = hintsOf(field, words);
  const about = clean(field.description ?? "");
  if (about === "" || hints.length === 0) return about || hints.join(" · ");
  return [about.replace(/\.$/, ""), ...hints].join(" · ");
}

function hintsOf(field: Field, words: Words): string[] {
  const choices = choicesOf(field);
  if (choices.length > 0) return [clean(choices.map(String).join(", "))];
  if (isSwitch(field)) return [words.yesNo];
  if (field.forms.some(({ type }) => type === "array")) return [words.listHint];
  if (field.forms.some(({ type }) => type === "object")) return [words.jsonHint];
  return field.forms.flatMap(({ minimum, maximum }) =>
    minimum === undefined && maximum === undefined ? [] : [`${minimum ?? ""}…${maximum ?? ""}`],
  );
}

/** An input that is no object with fields is asked for as JSON. */
async function wholeInput(desk: Desk, check: Check): Promise<unknown> {
  const { words, screen, look } = desk;
  for (;;) {
    const answer = parsed(await screen.ask({ prompt: `${words.jsonHint}: ` }));
    const problem = answer === undefined ? words.jsonHint : check(structuredClone(answer.value))[0]?.message;
    if (answer !== undefined && problem === undefined) return answer.value;
    const text = words.invalid(problemText(problem ?? "", words));
    if (!screen.interactive) throw new Trouble(text);
    desk.say(paint(text, "red", look));
  }
}

function parsed(text: string): Value | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}
