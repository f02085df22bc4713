import { ArtelError } from "../../domain/errors.ts";
import type { Api } from "./api.ts";
import { shortId } from "./show.ts";

const WHOLE = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** A part of an id is looked for among so many of the newest tasks. */
const LOOKED_AT = 200;

/** Whether somebody can mean this id by a word: an id, its beginning, its end, or the beginning of its short form. */
export function standsFor(word: string, id: string): boolean {
  const part = word.toLowerCase();
  return id.startsWith(part) || id.endsWith(part) || shortId(id).startsWith(part);
}

/**
 * The id that a word stands for, see `standsFor`.
 *
 * @param owner among whose tasks it is looked for, an account's id or `all`; undefined: the user's own
 * @throws ArtelError `task_not_found`, `ambiguous_id`
 */
export async function wholeId(api: Api, text: string, owner?: string): Promise<string> {
  const whole = text.toLowerCase();
  if (WHOLE.test(whole)) return whole;
  const { items } = await api.list({ limit: LOOKED_AT, owner });
  const [id, ...others] = items.map(({ task_id }) => task_id).filter((each) => standsFor(text, each));
  const newest = owner === undefined ? `your newest ${LOOKED_AT}` : `the newest ${LOOKED_AT} of those`;
  if (id === undefined)
    throw new ArtelError("task_not_found", `none of ${newest} tasks has an id that begins or ends with "${text}"`);
  if (others.length > 0)
    throw new ArtelError("ambiguous_id", `"${text}" fits ${others.length + 1} tasks, such as ${shortId(id)} and ${others[0]}`);
  return id;
}
