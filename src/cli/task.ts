import { readCall, UsageError } from "../config.ts";
import type { TaskAction } from "./client/task-actions.ts";
import type { Command } from "./commands.ts";

const ACTIONS = ["list", "show", "logs", "cancel", "retry"] as const satisfies readonly ("list" | TaskAction)[];
const LIST_FLAGS = ["status", "name", "limit", "cursor"] as const;
const FLAGS_OF_ALL = ["owner", "json", "server"] as const;

export const taskCommand: Command = {
  name: "task",
  purpose: "list tasks, show one with its result, read its log, cancel it or run it again",
  usage: "task list | show ID | logs ID | cancel ID | retry ID",
  flags: [...LIST_FLAGS, ...FLAGS_OF_ALL],
  words: ACTIONS,
  details: [
    "ID is a whole id, or the beginning or end of one as the list shows it. Into a pipe the list has a line for each task with",
    "id, status, name, progress and creation between tabs. --status, --name, --limit and --cursor belong to list; its --json is",
    "the page: artel task list --json | jq '.items[]'",
    "With --owner all a row ends with its owner: artel task list --owner all --name nightly finds what runs by a schedule. With",
    "the other words --owner says among whose tasks a part of an id is looked for.",
  ],
  example: "artel task list --status failed",
  async run(args, io) {
    const [word, ...rest] = args;
    const action = ACTIONS.find((each) => each === word);
    if (!action) throw new UsageError(`artel task takes ${ACTIONS.slice(0, -1).join(", ")} or ${ACTIONS.at(-1)}`);
    const isList = action === "list";
    const flags = isList ? taskCommand.flags : FLAGS_OF_ALL;
    const call = readCall(`task ${action}`, rest, flags, io.environment, isList ? 0 : 1);
    const { doWithTask, listTasks } = await import("./client/task-actions.ts");
    const [id] = call.words;
    if (isList) await listTasks(call, io);
    else if (id === undefined) throw new UsageError(`artel task ${action} needs the id of a task: artel task ${action} ID`);
    else await doWithTask(action, id, call, io);
    return 0;
  },
};
