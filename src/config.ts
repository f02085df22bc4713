import { parseArgs } from "node:util";
import { didYouMean } from "./domain/closest.ts";
import { parseDuration } from "./domain/duration.ts";
import { PRIORITIES, STATUSES } from "./domain/task.ts";

/** The call was wrong: exit code 2, and one line that names the flag or command. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

type Kind =
  | "text"
  | "count"
  | "port"
  | "duration"
  | "list"
  | "origins"
  | "queues"
  | "namespace"
  | "switch"
  | "durability"
  | "level"
  | "priority"
  | "status"
  | "owner"
  | "server"
  | "language";

/** One flag: `--name`, ARTEL_NAME, default. */
export interface Flag {
  readonly name: string;
  readonly kind: Kind;
  /** As it would be typed; undefined: none. */
  readonly fallback?: string;
  readonly help: string;
  /** What stands for its value in help; by default a word for its kind. */
  readonly value?: string;
  /** Variables read beside ARTEL_…, in order. */
  readonly variables?: readonly string[];
  /** Bounds of a count; 0 and 999,999,999 by default. */
  readonly min?: number;
  readonly max?: number;
}

/** Of queues and namespaces. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const MAX_COUNT = 999_999_999;
/** A hundred years, in milliseconds: beyond it the dates of some languages end. */
const MAX_DURATION_MS = 100 * 365 * 86_400_000;

/** Every account's. */
const EVERYBODY = "all";
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Kinds that have a value out of a few. */
const CHOICES: Readonly<Partial<Record<Kind, readonly string[]>>> = {
  level: ["debug", "info", "warn", "error"],
  durability: ["normal", "full"],
  priority: PRIORITIES,
  status: STATUSES,
  language: ["en", "ru"],
};
/** A switch by its variable. */
const ON = new Set(["true", "1"]);
const OFF = new Set(["false", "0"]);

export const FLAGS = {
  host: { name: "host", kind: "text", value: "ADDRESS", fallback: "127.0.0.1", help: "address to listen on" },
  port: { name: "port", kind: "port", fallback: "12000", help: "port to listen on; 0 picks a free one" },
  pulsePort: { name: "port", kind: "port", help: "port for /health and /metrics; 0 picks a free one (default: none)" },
  data: { name: "data", kind: "text", value: "DIR", fallback: "./data", help: "data directory; it holds artel.db" },
  redis: {
    name: "redis",
    kind: "text",
    value: "URL",
    help: "Redis URL: jobs go through it, so that workers on other machines can run them",
    variables: ["ARTEL_REDIS_URL", "REDIS_URL"],
  },
  namespace: { name: "namespace", kind: "namespace", fallback: "artel", help: "prefix of every Redis key and channel" },
  queues: { name: "queues", kind: "queues", help: "queues to serve, comma-separated (default: all)" },
  threads: {
    name: "threads",
    kind: "count",
    max: 1_024,
    help: "worker threads; with 0 a server is the API alone (default: one a core)",
  },
  slots: {
    name: "slots",
    kind: "count",
    min: 1,
    max: 10_000,
    fallback: "32",
    help: "tasks that one thread runs at the same time",
  },
  tasks: { name: "tasks", kind: "text", value: "DIR", help: "folder of task files" },
  noWatch: { name: "no-watch", kind: "switch", help: "load task files once, and not again when they change" },
  logLevel: { name: "log-level", kind: "level", fallback: "info", help: "debug, info, warn or error" },
  drain: { name: "drain", kind: "duration", fallback: "8s", help: "how long running tasks may go on after SIGTERM" },
  retention: { name: "retention", kind: "duration", fallback: "7d", help: "how long ended tasks are kept" },
  durability: {
    name: "durability",
    kind: "durability",
    fallback: "normal",
    help: "normal, or full: no acknowledged task is lost in a power failure",
  },
  origins: { name: "origins", kind: "origins", help: "origins of other sites whose pages may use the API, comma-separated" },
  trustProxy: { name: "trust-proxy", kind: "list", help: "address ranges of proxies whose X-Forwarded-For is believed" },
  maxQueued: { name: "max-queued", kind: "count", fallback: "5000000", help: "unfinished tasks that are held in all" },
  maxQueuedPerUser: {
    name: "max-queued-per-user",
    kind: "count",
    fallback: "2000000",
    help: "unfinished tasks that one user may have",
  },
  server: {
    name: "server",
    kind: "server",
    value: "URL",
    fallback: "http://127.0.0.1:12000",
    help: "the server's address, as http://HOST:PORT",
  },
  lang: { name: "lang", kind: "language", value: "en|ru", help: "language (default: by LC_ALL, LC_MESSAGES or LANG)" },
  json: { name: "json", kind: "switch", help: "print JSON, as the API gives it" },
  watch: { name: "watch", kind: "switch", help: "show the task's progress to its end, then its result" },
  input: {
    name: "input",
    kind: "text",
    value: "JSON|@FILE|-",
    help: "the input as JSON, from a file or from stdin; fields given beside it count more",
  },
  delay: { name: "delay", kind: "duration", help: "run it no sooner than after this long" },
  priority: { name: "priority", kind: "priority", value: "PRIORITY", help: "low, normal or high" },
  idempotencyKey: {
    name: "idempotency-key",
    kind: "text",
    value: "KEY",
    help: "the same key and input again give the same task",
  },
  status: { name: "status", kind: "status", value: "STATUS", help: `only these: ${STATUSES.join(", ")}` },
  name: { name: "name", kind: "text", value: "NAME", help: "only those of this task" },
  limit: { name: "limit", kind: "count", min: 1, max: 200, fallback: "50", help: "so many at most" },
  cursor: { name: "cursor", kind: "text", help: "goes on from a page before: its next_cursor" },
  owner: { name: "owner", kind: "owner", value: "ID|all", help: "for admins: another account's tasks, or everybody's" },
  admin: { name: "admin", kind: "switch", help: "make it an admin, who sees everybody's tasks" },
  expires: { name: "expires", kind: "duration", fallback: "90d", help: "how long the token lives" },
  jsonReport: { name: "json", kind: "switch", help: "print the findings as JSON" },
  out: { name: "out", kind: "text", value: "FILE", help: "write to this file, and not to stdout" },
  to: { name: "to", kind: "text", value: "TAG", help: "the last migration to apply, by its tag" },
} as const satisfies Record<string, Flag>;

type FlagKey = keyof typeof FLAGS;
type Environment = Readonly<Record<string, string | undefined>>;

/** What the command line said: the values of the flags asked for, and the other words. */
export interface Call {
  text(flag: FlagKey): string | undefined;
  /** For flags with a default. */
  need(flag: FlagKey): string;
  count(flag: FlagKey): number | undefined;
  /** Milliseconds. */
  duration(flag: FlagKey): number;
  list(flag: FlagKey): readonly string[];
  /** Of a switch. */
  on(flag: FlagKey): boolean;
  readonly words: readonly string[];
}

/**
 * Reads a command's arguments: flag beats variable beats default.
 *
 * @param words how many words may stand beside the flags
 * @throws UsageError naming the flag, the variable or the word that is wrong
 */
export function readCall(
  command: string,
  args: readonly string[],
  keys: readonly FlagKey[],
  environment: Environment,
  words = 0,
): Call {
  const flags: readonly Flag[] = keys.map((key) => FLAGS[key]);
  const given = parse(command, args, flags);
  if (given.positionals.length > words)
    throw new UsageError(`artel ${command} takes no "${given.positionals[words]}"; see artel help ${command.split(" ")[0]}`);
  const values = new Map<string, string | undefined>();
  for (const flag of flags) values.set(flag.name, check(flag, findValue(flag, given.values, environment)));
  const text = (key: FlagKey): string | undefined => values.get(FLAGS[key].name);
  const need = (key: FlagKey): string => text(key) ?? "";
  return {
    text,
    need,
    count: (key) => (text(key) === undefined ? undefined : Number(text(key))),
    duration: (key) => parseDuration(need(key)),
    list: (key) => listOf(need(key)),
    on: (key) => ON.has(need(key)),
    words: given.positionals,
  };
}

interface Given {
  readonly values: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
}

function parse(command: string, args: readonly string[], flags: readonly Flag[]): Given {
  const options = Object.fromEntries(
    flags.map(({ name, kind }) => [name, { type: kind === "switch" ? ("boolean" as const) : ("string" as const) }]),
  );
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    const wrong = whatIsWrong(error instanceof Error ? error.message : String(error), Object.keys(options));
    throw new UsageError(`artel ${command}: ${wrong}; see artel help ${command.split(" ")[0]}`);
  }
}

/** Node explains at length, with examples that are none of this program's: the first sentence names the flag. */
function whatIsWrong(message: string, known: readonly string[]): string {
  const [sentence = ""] = message.split(/\.(?:\s|$)/);
  const [, flag, said] = /^(?:Unknown option|Option) '(?:-\w, )?--([^' ]+)[^']*'(.*)/.exec(sentence) ?? [];
  if (flag === undefined) return sentence;
  if (said === " argument missing") return `--${flag} needs a value`;
  if (said === " argument is ambiguous") return `--${flag} needs a value; one that begins with - is given as --${flag}=VALUE`;
  if (said === " does not take an argument") return `--${flag} takes no value`;
  return `${sentence}${didYouMean(flag, known, "--")}`;
}

interface Value {
  readonly text: string | undefined;
  /** How the caller said it, for error messages. */
  readonly from: string;
}

/** The values that a flag can have, where they can be told. */
export const valuesOf = ({ kind }: Flag): readonly string[] => (kind === "owner" ? [EVERYBODY] : (CHOICES[kind] ?? []));

/** The variable that stands in for a flag. */
export const variableOf = (flag: Flag): string => `ARTEL_${flag.name.toUpperCase().replaceAll("-", "_")}`;

function findValue(flag: Flag, given: Readonly<Record<string, unknown>>, environment: Environment): Value {
  const flagged = given[flag.name];
  if (flagged !== undefined) return { text: String(flagged), from: `--${flag.name}` };
  for (const variable of [variableOf(flag), ...(flag.variables ?? [])]) {
    const value = environment[variable];
    if (value !== undefined && value !== "") return { text: value, from: variable };
  }
  return { text: flag.fallback, from: `--${flag.name}` };
}

function check(flag: Flag, { text, from }: Value): string | undefined {
  if (text === undefined) return undefined;
  if (text.trim() === "" && flag.kind !== "list" && flag.kind !== "origins" && flag.kind !== "queues")
    throw new UsageError(`${from} must not be empty`);
  const expected = expectation(flag, text);
  if (expected !== undefined) throw new UsageError(`${from} must be ${expected}, not "${text}"`);
  return text;
}

/** What a value should have been; undefined: it is fine. */
function expectation(flag: Flag, text: string): string | undefined {
  switch (flag.kind) {
    case "count": {
      const { min = 0, max = MAX_COUNT } = flag;
      const fits = /^\d{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max;
      return fits ? undefined : `a whole number from ${min} to ${max}`;
    }
    case "port":
      return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? undefined : "a port from 0 to 65535";
    case "switch":
      return ON.has(text) || OFF.has(text) ? undefined : "1 or 0";
    case "duration":
      return isDuration(text) ? undefined : "a duration such as 500ms, 30s, 5m or 7d";
    case "queues":
      return listOf(text).every((queue) => NAME.test(queue)) ? undefined : "names of queues, comma-separated";
    case "namespace":
      return NAME.test(text) ? undefined : "letters, digits, dots, underscores and hyphens";
    case "origins":
      return listOf(text).every(isOrigin) ? undefined : "origins such as https://app.example, comma-separated";
    case "owner":
      return text === EVERYBODY || ID.test(text) ? undefined : `the id of an account, or ${EVERYBODY}`;
    case "server":
      return isServer(text) ? undefined : "an address such as http://127.0.0.1:12000";
    default: {
      const choices = CHOICES[flag.kind];
      return !choices || choices.includes(text) ? undefined : `one of ${choices.join(", ")}`;
    }
  }
}

function listOf(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function isDuration(text: string): boolean {
  try {
    return parseDuration(text) <= MAX_DURATION_MS;
  } catch {
    return false;
  }
}

/** As browsers send it: no path and no slash at the end, which would never match. */
function isOrigin(text: string): boolean {
  return text === "*" || /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s]+$/i.test(text);
}

/** A place of its own: nothing may stand behind the port but a slash. */
function isServer(text: string): boolean {
  return /^https?:\/\/[^/?#@\s]+\/?$/i.test(text) && URL.canParse(text);
}
