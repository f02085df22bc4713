import { sql } from "drizzle-orm";
import { index, integer, primaryKey, real, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";

/*
 * Times are integers: milliseconds since 1970 UTC. Ids that leave the service are UUIDv7 text; inside, rows
 * point at each other by integer keys, which keeps the indexes that every transition touches small.
 */

/** Single facts about this data directory: its epoch, the highest purged seq. */
export const meta = sqliteTable("meta", {
  key: text().primaryKey(),
  value: text().notNull(),
});

export const accounts = sqliteTable("accounts", {
  n: integer().primaryKey(),
  id: text().notNull().unique(),
  /** Normalised: NFC, lower case; unique. */
  email: text().notNull().unique(),
  passwordHash: text("password_hash").notNull(),
  role: text({ enum: ["user", "admin"] }).notNull(),
  createdAt: integer("created_at").notNull(),
});

/** A login (or a long-lived token) of one account; ending it ends every token made from it. */
export const sessions = sqliteTable(
  "sessions",
  {
    id: text().primaryKey(),
    account: integer()
      .notNull()
      .references(() => accounts.n, { onDelete: "cascade" }),
    createdAt: integer("created_at").notNull(),
    expiresAt: integer("expires_at").notNull(),
    revokedAt: integer("revoked_at"),
  },
  (t) => [index("sessions_account").on(t.account), index("sessions_expires").on(t.expiresAt)],
);

/** Every refresh token that a session was given, by SHA-256; a spent one that comes back ends the session. */
export const refreshTokens = sqliteTable(
  "refresh_tokens",
  {
    hash: text().primaryKey(),
    session: text()
      .notNull()
      .references(() => sessions.id, { onDelete: "cascade" }),
    createdAt: integer("created_at").notNull(),
    spentAt: integer("spent_at"),
  },
  (t) => [index("refresh_tokens_session").on(t.session)],
);

/** What owners take turns in: one row for each (queue, task, priority, owner) that ever had a task. */
export const lanes = sqliteTable(
  "lanes",
  {
    n: integer().primaryKey(),
    owner: integer()
      .notNull()
      .references(() => accounts.n),
    queue: text().notNull(),
    name: text().notNull(),
    /** 0 low, 1 normal, 2 high. */
    priority: integer().notNull(),
  },
  (t) => [uniqueIndex("lanes_key").on(t.owner, t.queue, t.name, t.priority)],
);

/** One row a task, from the moment it is accepted until retention removes it. Long columns stand last. */
export const tasks = sqliteTable(
  "tasks",
  {
    /** Rises with acceptance: the order of pages and of a lane. The id carries it, so ids need no index; see task-ids.ts. */
    n: integer().primaryKey(),
    id: text().notNull(),
    owner: integer()
      .notNull()
      .references(() => accounts.n),
    /** Its queue, name and priority. */
    lane: integer()
      .notNull()
      .references(() => lanes.n),
    /** Position in domain STATUSES. */
    status: integer().notNull(),
    /** Renewed at every stored transition, from one counter. */
    seq: integer().notNull(),
    attempt: integer().notNull(),
    maxAttempts: integer("max_attempts").notNull(),
    /** Counts dispatches; an outcome that carries another number is refused. */
    fence: integer().notNull(),
    /** 1 while the broker is supposed to hold the task's job at this fence. */
    dispatched: integer().notNull(),
    /** Processes that died while this task had started in them. */
    deaths: integer().notNull(),
    cancelRequested: integer("cancel_requested").notNull(),
    progress: real(),
    createdAt: integer("created_at").notNull(),
    runAt: integer("run_at").notNull(),
    startedAt: integer("started_at"),
    finishedAt: integer("finished_at"),
    idempotencyKey: text("idempotency_key"),
    message: text(),
    errorCode: text("error_code"),
    errorMessage: text("error_message"),
    /** JSON text. */
    args: text().notNull(),
    /** JSON text; null until done. */
    result: text(),
  },
  // Every index is renewed at some step of every task, so there are no more of them than questions that need one; the
  // partial ones are as small as the set that they name.
  (t) => [
    index("tasks_owner").on(t.owner),
    // What changed since: for catching up.
    index("tasks_owner_seq").on(t.owner, t.seq),
    // All but queued and done tasks, which are nearly everything and are found by walking.
    index("tasks_status").on(t.status, t.owner).where(sql`status IN (0, 2, 3, 5, 6)`),
    // By lane, what the broker holds apart from what waits outside its window.
    index("tasks_queued").on(t.dispatched, t.lane).where(sql`status = 1`),
    index("tasks_due").on(t.runAt).where(sql`status IN (0, 3)`),
    index("tasks_idempotency").on(t.owner, t.idempotencyKey).where(sql`idempotency_key IS NOT NULL`),
  ],
);

/** The lines that a task wrote; bounded per task by the worker that sends them. */
export const taskLogs = sqliteTable(
  "task_logs",
  {
    task: integer()
      .notNull()
      .references(() => tasks.n, { onDelete: "cascade" }),
    line: integer().notNull(),
    at: integer().notNull(),
    level: text({ enum: ["debug", "info", "warn", "error"] }).notNull(),
    message: text().notNull(),
  },
  (t) => [primaryKey({ columns: [t.task, t.line] })],
);

/** Of tasks that are unique while they wait or run: who has a key. See domain/unique.ts. */
export const uniqueKeys = sqliteTable(
  "unique_keys",
  {
    /** SHA-256 of owner, name and what makes inputs the same. */
    key: text().primaryKey(),
    task: integer()
      .notNull()
      .references(() => tasks.n, { onDelete: "cascade" }),
  },
  (t) => [index("unique_keys_task").on(t.task)],
);

/** Idempotency-Keys that were answered with an earlier task, which bears another key or none; they go with it. */
export const answeredKeys = sqliteTable(
  "answered_keys",
  {
    /** The task's, here too: keys are looked up by it. */
    owner: integer().notNull(),
    key: text().notNull(),
    task: integer()
      .notNull()
      .references(() => tasks.n, { onDelete: "cascade" }),
    /** SHA-256 of the input that came with the key, which may be another one than the task's. */
    input: text().notNull(),
  },
  (t) => [primaryKey({ columns: [t.owner, t.key, t.task] }), index("answered_keys_task").on(t.task)],
);

/** When tasks run by themselves, by task. What they run with stands in the task's file. */
export const schedules = sqliteTable("schedules", {
  task: text().primaryKey(),
  cron: text().notNull(),
  timeZone: text("time_zone").notNull(),
  paused: integer().notNull(),
  nextAt: integer("next_at"),
  lastAt: integer("last_at"),
  lastTask: text("last_task"),
});

/** What an admin has paused: tasks and queues whose jobs no worker takes until they are resumed. */
export const pauses = sqliteTable(
  "pauses",
  {
    kind: text({ enum: ["task", "queue"] }).notNull(),
    name: text().notNull(),
    since: integer().notNull(),
  },
  (t) => [primaryKey({ columns: [t.kind, t.name] })],
);

/** Tasks that were submitted together, some of which wait for others; how many of them stand where is kept here. */
export const workflows = sqliteTable(
  "workflows",
  {
    /** Rises with acceptance; the id carries it, as with tasks. */
    n: integer().primaryKey(),
    id: text().notNull(),
    owner: integer()
      .notNull()
      .references(() => accounts.n),
    /** Renewed, from the counter of tasks, when its owner is told of what has changed. */
    seq: integer().notNull(),
    /** 1: its owner has not been told of the last changes yet. */
    untold: integer().notNull(),
    /** Members by status, in the order of domain STATUSES, as a JSON array. */
    counts: text().notNull(),
    /** Sum of how far the members had come that have ended, in millionths. */
    reached: integer().notNull(),
    createdAt: integer("created_at").notNull(),
    finishedAt: integer("finished_at"),
    idempotencyKey: text("idempotency_key"),
    /** SHA-256 of what was submitted; null without a key. */
    digest: text(),
  },
  (t) => [
    index("workflows_owner").on(t.owner),
    index("workflows_owner_seq").on(t.owner, t.seq),
    index("workflows_untold").on(t.n).where(sql`untold = 1`),
    index("workflows_idempotency").on(t.owner, t.idempotencyKey).where(sql`idempotency_key IS NOT NULL`),
  ],
);

/** Where a workflow's tasks wait for those before them. The last joint of each is its end, for which none waits. */
export const workflowJoints = sqliteTable(
  "workflow_joints",
  {
    n: integer().primaryKey(),
    workflow: integer()
      .notNull()
      .references(() => workflows.n, { onDelete: "cascade" }),
    /** Tasks before it that have not ended. */
    pending: integer().notNull(),
    /** Tasks before it that failed or were cancelled. */
    bad: integer().notNull(),
    /** What it hands on, as JSON: a task's key stands for its result, an array for the list of its elements' values. */
    value: text().notNull(),
  },
  (t) => [index("workflow_joints_workflow").on(t.workflow)],
);

/** Tasks that are members of a workflow, and the joints that they stand between. */
export const workflowTasks = sqliteTable(
  "workflow_tasks",
  {
    task: integer()
      .primaryKey()
      .references(() => tasks.n, { onDelete: "cascade" }),
    workflow: integer()
      .notNull()
      .references(() => workflows.n),
    /** Null: it waits for nothing. Joints go with their workflow, which goes with all of its members. */
    waitsFor: integer("waits_for"),
    countsInto: integer("counts_into").notNull(),
    /** 1: its args refer to the value of its joint, which is put in when the task is let go. */
    unresolved: integer().notNull(),
    /** 1: it was cancelled because of a task before it. */
    abandoned: integer().notNull(),
    /** How long it waits after what it waits for is done, in milliseconds. */
    delayMs: integer("delay_ms").notNull().default(0),
  },
  (t) => [
    index("workflow_tasks_workflow").on(t.workflow),
    index("workflow_tasks_waits_for").on(t.waitsFor).where(sql`waits_for IS NOT NULL`),
  ],
);

/** How far each broker's event stream has been recorded; committed together with what the events caused. */
export const offsets = sqliteTable("offsets", {
  stream: text().primaryKey(),
  epoch: text().notNull(),
  id: text().notNull(),
});
