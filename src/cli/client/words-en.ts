/** What the terminal client says, in English. The other languages have the type of this catalog: a text that lacks there is a type error. */
export const ENGLISH = {
  // At the start
  hello: (version: string, server: string) => `Artel ${version} at ${server}`,
  firstSteps: "Nobody is logged in: `register` makes an account, `login` takes one that is there. `help` lists the commands.",
  loggedIn: (email: string) => `Logged in as ${email}. \`help\` lists the commands, \`task\` starts a task.`,
  takenOver: (email: string) =>
    `Somebody has logged in as ${email} from elsewhere in this account; that session is used from here on.`,
  withToken: "ARTEL_TOKEN is set: it speaks for you here.",

  // Prompts
  prompt: "artel> ",
  email: "E-mail: ",
  password: "Password: ",
  passwordAgain: "Password again: ",
  whichTask: "Task, by number or name: ",
  whichId: (newest: string | undefined) => (newest === undefined ? "ID: " : `ID [${newest}]: `),
  enterEnds: "Enter goes back ",

  // Accounts
  registered: (email: string) => `The account ${email} is made.`,
  passwordsDiffer: "The two passwords are not the same.",
  loggedOut: "Logged out.",
  notLoggedIn: "Nobody is logged in: `login` or `register` first.",
  sessionEnded: "The session has ended: it was logged out elsewhere, or has run out. `login` opens a new one.",

  // The connection
  lost: (reason: string) => `Connection lost (${reason}). Trying again; nothing will be missed.`,
  back: "Connected again.",
  reset: "The server has started over or much has changed: `tasks` shows how things stand.",
  unreachable: (server: string, reason: string) => `${server} does not answer: ${reason}.`,
  startServer: "Is the server running? `artel serve` starts one; --server names another address.",
  /** Why a connection failed, by the reason in English. */
  reasons: {} as Readonly<Record<string, string>>,

  // Commands
  unknownCommand: (name: string, guess: string | undefined) =>
    `There is no command "${name}"${guess === undefined ? "" : `; did you mean \`${guess}\`?`}`,
  knownCommands: (names: readonly string[]) => `Known: ${names.join(", ")}`,
  tooManyWords: (usage: string) => `That is too much: ${usage}`,
  helpKeys: "Tab completes, Up brings earlier lines back, Ctrl-C gives a line up, Ctrl-D leaves.",
  commands: {
    register: ["register [EMAIL]", "make an account and log in"],
    login: ["login [EMAIL]", "log in"],
    task: ["task [NAME]", "start a task: its fields are asked one by one"],
    tasks: ["tasks", "the latest tasks, with their progress"],
    watch: ["watch ID", "follow a task to its end"],
    show: ["show ID", "a task with its result"],
    logs: ["logs ID", "what a task has logged"],
    cancel: ["cancel ID", "cancel a task"],
    retry: ["retry ID", "run a failed or cancelled task again"],
    logout: ["logout", "end the session"],
    clear: ["clear", "clear the screen"],
    help: ["help", "this list"],
    exit: ["exit", "leave; tasks go on"],
  } as Readonly<Record<CommandName, readonly [usage: string, purpose: string]>>,

  // Tasks
  statuses: {
    scheduled: "scheduled",
    queued: "queued",
    "in progress": "in progress",
    retrying: "retrying",
    done: "done",
    failed: "failed",
    cancelled: "cancelled",
  } as Readonly<Record<StatusName, string>>,
  submitted: (name: string, id: string) => `Submitted: ${name} ${id}`,
  noTasks: "There are no tasks yet: `task` starts one.",
  noDefinitions: "This server has no tasks to run.",
  noLogs: "It has logged nothing.",
  noSuchTask: (id: string) => `There is no task ${id} of yours: \`tasks\` lists them.`,
  noSuchName: (name: string, guess: string | undefined) =>
    `There is no task "${name}"${guess === undefined ? "" : `; did you mean \`${guess}\`?`}`,
  manyTasks: (id: string, ids: readonly string[]) => `${id} fits more than one task: ${ids.join(", ")}`,
  cancelling: (id: string) => `Cancelling ${id}.`,
  retried: (id: string) => `${id} is queued again.`,
  attempt: (attempt: number) => `attempt ${attempt}`,
  moreTasks: (n: number) => `and ${n} more`,
  labels: {
    id: "id",
    task: "task",
    status: "status",
    waiting: "waiting",
    begins: "begins",
    progress: "progress",
    message: "message",
    attempt: "attempt",
    error: "error",
    queue: "queue",
    owner: "owner",
    created: "created",
    started: "started",
    finished: "finished",
    input: "input",
    result: "result",
  },

  // Pages that `parse` has read
  pages: (pages: number, links: number) =>
    `${pages} ${pages === 1 ? "page" : "pages"}, ${links} distinct ${links === 1 ? "link" : "links"}`,
  pageColumns: { status: "HTTP", words: "words", links: "links", page: "page" },

  // Forms
  formHint: "Enter takes what stands in brackets; Ctrl-C gives the form up.",
  optional: "optional",
  yesNo: "yes/no",
  listHint: "commas between, or JSON",
  jsonHint: "JSON",
  required: "This field is required.",
  invalid: (problem: string) => `Not possible: ${problem}.`,
  givenUp: "Given up.",
  inputEnded: "The input ended before all required fields were given.",

  /** What checks of values say, as patterns and what is said in their place. */
  problems: [] as readonly (readonly [pattern: RegExp, text: string])[],

  // What servers answer with, by code; the rest is shown as the server says it
  codes: {} as Readonly<Record<string, string>>,
};

export type Words = typeof ENGLISH;

/** In the order of `help`. */
export const COMMAND_NAMES = [
  "register",
  "login",
  "task",
  "tasks",
  "watch",
  "show",
  "logs",
  "cancel",
  "retry",
  "logout",
  "clear",
  "help",
  "exit",
] as const;
export type CommandName = (typeof COMMAND_NAMES)[number];
type StatusName = import("../../domain/task.ts").Status;
