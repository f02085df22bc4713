import { describe, expect, test } from "bun:test";
import type { TaskPolicy } from "../../src/domain/definition.ts";
import type { Schedule } from "../../src/domain/schedule.ts";
import { preparedOn } from "../../src/drivers/sqlite/prepared.ts";
import { SqliteSchedules } from "../../src/drivers/sqlite/schedules.ts";
import { Schedules } from "../../src/services/schedules.ts";
import { ANNA, type Core, type CoreOptions, manual, openCore, policy } from "../support/core.ts";
import { eventually } from "../support/waiting.ts";

const MINUTE = 60_000;
const HOURLY: Schedule = { cron: "0 * * * *", timeZone: "UTC", missed: "once", input: { n: 1 } };
const scheduled = (more: Partial<Schedule> = {}): TaskPolicy => ({ ...policy("job"), schedule: { ...HOURLY, ...more } });

interface Open {
  readonly core: Core;
  readonly schedules: Schedules;
}

/** At half past ten, unless a clock is given; nothing runs by itself: the clock is turned by hand. */
async function open(policies: readonly TaskPolicy[], options: CoreOptions = {}): Promise<Open> {
  const core = await openCore({ policies: [...policies, policy("plain")], ...options });
  if (!options.clock) manual(core).advance(new Date("2026-01-01T10:30:00Z").getTime() - core.clock.now());
  const schedules = new Schedules({
    store: new SqliteSchedules(preparedOn(core.db)),
    work: core.work,
    tasks: core.tasks,
    policies: () => core.definitions.all(),
    owner: async () => ANNA,
    clock: core.clock,
    log: core.log,
  });
  await schedules.renew();
  return { core, schedules };
}

const runs = (core: Core): number => core.store.page({ limit: 100, owner: undefined }).items.length;
const nextAt = (schedules: Schedules): string | undefined => {
  const at = schedules.list()[0]?.nextAt;
  return at == null ? undefined : new Date(at).toISOString().slice(11, 16);
};

describe("a schedule", () => {
  test("comes to one task at each of its times, with its input, and tells which", async () => {
    const { core, schedules } = await open([scheduled()]);
    await using _ = core;
    expect(nextAt(schedules)).toBe("11:00");
    manual(core).advance(29 * MINUTE);
    expect(await schedules.tick()).toBe(0);
    manual(core).advance(MINUTE);
    expect([await schedules.tick(), await schedules.tick()]).toEqual([1, 0]);
    const [row] = schedules.list();
    expect(core.store.withBody(row?.lastTask ?? "")).toMatchObject({ name: "job", owner: ANNA.n, args: '{"n":1}' });
    expect([nextAt(schedules), row?.lastAt]).toEqual(["12:00", core.clock.now()]);
    manual(core).advance(60 * MINUTE);
    expect([await schedules.tick(), runs(core)]).toEqual([1, 2]);
  });

  test("asked at the same time from several sides, each time comes to one task", async () => {
    const { core, schedules } = await open([scheduled()]);
    await using _ = core;
    manual(core).advance(30 * MINUTE);
    const counts = await Promise.all(Array.from({ length: 10 }, () => schedules.tick()));
    expect([counts.reduce((sum, count) => sum + count), runs(core)]).toEqual([1, 1]);
  });

  test.each([
    ["once", 1],
    ["skip", 0],
  ] as const)("missed while no server ran: %s", async (missed, count) => {
    const first = await open([scheduled({ missed })]);
    const file = first.core.snapshot();
    manual(first.core).advance(5 * 60 * MINUTE);
    const again = await open([scheduled({ missed })], { file, clock: first.core.clock });
    expect([await again.schedules.tick(), await again.schedules.tick(), runs(again.core)]).toEqual([count, 0, count]);
    expect(nextAt(again.schedules)).toBe("16:00");
    await again.core[Symbol.asyncDispose]();
    await first.core[Symbol.asyncDispose]();
  });

  test("invariant 1: a crash between any two steps neither loses a time nor runs it twice", async () => {
    const first = await open([scheduled()]);
    manual(first.core).advance(30 * MINUTE);
    const before = first.core.snapshot();
    await first.schedules.tick();
    const after = first.core.snapshot();
    for (const [file, expected] of [
      [before, [1, 1]],
      [after, [0, 1]],
    ] as const) {
      const again = await open([scheduled()], { file, clock: first.core.clock });
      expect([await again.schedules.tick(), runs(again.core)]).toEqual([...expected]);
      await again.core[Symbol.asyncDispose]();
    }
    await first.core[Symbol.asyncDispose]();
  });

  test("one that cannot be stored is stored later: neither the task nor the next time is there", async () => {
    const { core, schedules } = await open([scheduled()], { quotas: { total: 1, perOwner: 1 } });
    await using _ = core;
    const other = await core.tasks.submit(ANNA, "plain", {});
    manual(core).advance(30 * MINUTE);
    await expect(schedules.tick()).rejects.toMatchObject({ code: "queue_full" });
    await core.tasks.cancel(ANNA, other.id);
    expect(nextAt(schedules)).toBe("11:00");
    expect([await schedules.tick(), nextAt(schedules)]).toEqual([1, "12:00"]);
  });

  test("paused it runs no more, also after a restart; resumed it goes on from then, and makes up for nothing", async () => {
    const { core, schedules } = await open([scheduled()]);
    await using _ = core;
    await schedules.pause("job");
    expect([nextAt(schedules), schedules.list()[0]?.paused]).toEqual([undefined, true]);
    await schedules.renew();
    manual(core).advance(3 * 60 * MINUTE);
    expect(await schedules.tick()).toBe(0);
    await schedules.resume("job");
    await schedules.resume("job");
    expect([await schedules.tick(), nextAt(schedules)]).toEqual([0, "14:00"]);
  });

  test("run now it runs beside its times", async () => {
    const { core, schedules } = await open([scheduled()]);
    await using _ = core;
    const task = await schedules.run("job");
    expect([core.store.get(task.id)?.status, nextAt(schedules)]).toEqual(["queued", "11:00"]);
  });

  test("that is changed counts from then; gone, it rests, and one of its times that passed meanwhile is missed", async () => {
    const { core, schedules } = await open([scheduled()]);
    await using _ = core;
    core.definitions.replace([scheduled({ cron: "15 * * * *" })]);
    await schedules.renew();
    expect(nextAt(schedules)).toBe("11:15");
    core.definitions.replace([policy("job")]);
    await schedules.renew();
    manual(core).advance(60 * MINUTE);
    expect([await schedules.tick(), schedules.list()]).toEqual([0, []]);
    core.definitions.replace([scheduled({ cron: "15 * * * *", missed: "skip" })]);
    await schedules.renew();
    expect([await schedules.tick(), nextAt(schedules)]).toEqual([0, "12:15"]);
  });

  test("where there is room for one task, each of two gets its turn", async () => {
    const often = { ...policy("often"), schedule: { ...HOURLY, cron: "* * * * *" } };
    const { core, schedules } = await open([often, scheduled()], { quotas: { total: 1, perOwner: 1 } });
    await using _ = core;
    manual(core).advance(30 * MINUTE);
    const ran: string[] = [];
    for (let round = 0; round < 2; round += 1) {
      await expect(schedules.tick()).rejects.toMatchObject({ code: "queue_full" });
      const [task] = core.store.page({ limit: 1, owner: undefined, status: "queued" }).items;
      ran.push(task?.name ?? "");
      await core.tasks.cancel(ANNA, task?.id ?? "");
      manual(core).advance(MINUTE);
    }
    expect(ran).toEqual(["often", "job"]);
  });

  test("a task without one is not found", async () => {
    const { core, schedules } = await open([scheduled()]);
    await using _ = core;
    for (const name of ["plain", "nothing"]) {
      for (const call of ["pause", "resume", "run"] as const)
        await expect(schedules[call](name)).rejects.toMatchObject({ code: "schedule_not_found" });
    }
  });

  test("changed while nothing can be stored, it is followed as soon as that can be", async () => {
    const { core, schedules } = await open([scheduled()], { clock: { now: Date.now } });
    await using _ = core;
    await schedules.start();
    core.db.run("PRAGMA query_only = ON");
    core.definitions.replace([{ ...policy("other"), schedule: { ...HOURLY, cron: "* * * * * *" } }]);
    await expect(schedules.renew()).rejects.toMatchObject({ code: "storage_unavailable" });
    core.db.run("PRAGMA query_only = OFF");
    await core.notices.until(() => runs(core) >= 1);
    await schedules.stop();
    expect(schedules.list().map(({ task }) => task)).toEqual(["other"]);
  });

  test("what cannot even be read for a while holds up, and ends nothing", async () => {
    const { core, schedules } = await open([scheduled({ cron: "* * * * * *" })], { clock: { now: Date.now } });
    await using _ = core;
    await schedules.start();
    core.db.run("ALTER TABLE schedules RENAME TO away");
    await eventually(() => core.lines.some(({ message }) => message === "could not run by schedule") || undefined, "a failure");
    core.db.run("ALTER TABLE away RENAME TO schedules");
    await core.notices.until(() => runs(core) >= 1);
    await schedules.stop();
  });

  test("rings by itself, at the earliest of all", async () => {
    const { core, schedules } = await open([scheduled({ cron: "* * * * * *" })], { clock: { now: Date.now } });
    await using _ = core;
    await schedules.start();
    await core.notices.until(() => runs(core) >= 2);
    await schedules.stop();
    const rows = core.store.page({ limit: 9, owner: undefined }).items;
    expect(new Set(rows.map(({ createdAt }) => Math.floor(createdAt / 1_000))).size).toBe(rows.length);
  });
});
