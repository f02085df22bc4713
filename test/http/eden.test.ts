import { describe, expect, test } from "bun:test";
import { treaty } from "@elysiajs/eden";
import type { App } from "../../src/http/app.ts";
import type { Problem } from "../../src/http/problem.ts";
import { PASSWORD } from "../support/accounts.ts";
import { suiteServer } from "../support/server.ts";

const { server } = await suiteServer();
const api = treaty<App>(server.url, { parseDate: false });
const ada = await server.user();
const { headers } = ada;

/** What the type checker must refuse; it is never called. */
export async function refused(): Promise<void> {
  // @ts-expect-error a field is missing
  await api.auth.login.post({ email: "ada@example.com" });
  // @ts-expect-error a field is of another type
  await api.auth.register.post({ email: "ada@example.com", password: 1 });
  // @ts-expect-error there is no such priority
  await api.tasks({ name: "echo" }).post({}, { query: { priority: "urgent" } });
  // @ts-expect-error there is no such status
  await api.tasks.get({ query: { status: "lost" } });
  // @ts-expect-error there is no such route
  await api.tasks.everything.get();
  const { data, error } = await api.tasks({ name: "x" }).get();
  // @ts-expect-error there is no such field
  console.log(data?.nothing);
  // @ts-expect-error an answer may be missing
  console.log(data.status);
  // @ts-expect-error no code is a number
  const code: number | undefined = error?.value.code;
  console.log(code);
}

describe("the type of the app, with eden", () => {
  test("accounts: register, log in, who am I, and what is refused", async () => {
    const email = "eden@example.com";
    const registered = await api.auth.register.post({ email, password: PASSWORD });
    const role: "user" | "admin" | undefined = registered.data?.role;
    expect([registered.status, role]).toEqual([201, "user"]);
    const { data } = await api.auth.login.post({ email, password: PASSWORD });
    const token: string = data?.access_token ?? "";
    const me = await api.auth.me.get({ headers: { authorization: `Bearer ${token}` } });
    expect(me.data?.email).toBe(email);
    const again = await api.auth.register.post({ email, password: PASSWORD });
    const problem: Problem | undefined = again.error?.value;
    expect([again.status, problem?.code]).toEqual([409, "email_taken"]);
    const nobody = await api.auth.me.get();
    expect([nobody.error?.status, nobody.error?.value.code]).toEqual([401, "unauthorized"]);
  });

  test("tasks: submit, batch, get, logs, list, cancel, retry, definitions", async () => {
    const submitted = await api.tasks({ name: "echo" }).post({ value: 1 }, { headers, query: { delay: "1h", priority: "low" } });
    const id: string = submitted.data?.task_id ?? "";
    const status: "queued" | "scheduled" | (string & {}) | undefined = submitted.data?.status;
    expect([submitted.status, status]).toEqual([202, "scheduled"]);
    const task = await api.tasks({ name: id }).get({ headers });
    const at: string | undefined = task.data?.created_at;
    const attempt: number | undefined = task.data?.attempt;
    expect([task.data?.name, task.data?.args, attempt, typeof at]).toEqual(["echo", { value: 1 }, 1, "string"]);
    const page = await api.tasks.get({ headers, query: { name: "echo", status: "scheduled", limit: "5" } });
    const cursor: string | null | undefined = page.data?.next_cursor;
    expect([page.data?.items.map(({ task_id }) => task_id), cursor]).toEqual([[id], null]);
    const cancelled = await api.tasks({ name: id }).cancel.post(undefined, { headers });
    expect(cancelled.data?.status).toBe("cancelled");
    const twice = await api.tasks({ name: id }).cancel.post(undefined, { headers });
    expect([twice.data, twice.error?.status, twice.error?.value.code]).toEqual([null, 409, "task_ended"]);
    expect((await api.tasks({ name: id }).retry.post(undefined, { headers })).data?.status).toBe("queued");
    const batch = await api.tasks({ name: "noop" }).batch.post([{ i: 1 }, { i: 2 }], { headers });
    const ids: string[] | undefined = batch.data?.task_ids;
    expect(ids).toHaveLength(2);
    const logs = await api.tasks({ name: id }).logs.get({ headers });
    expect(logs.data?.items.map(({ level }) => level)).toEqual([]);
    const definitions = await api.tasks.definitions.get({ headers });
    expect(definitions.data?.find(({ name }) => name === "strict")?.max_attempts).toBe(2);
    const wrong = await api.tasks({ name: "strict" }).post({ count: "1" }, { headers });
    const places: string[] | undefined = wrong.error?.value.errors?.map(({ path }) => path);
    expect(places?.sort()).toEqual(["/count", "/name"]);
  });

  test("health", async () => {
    expect((await api.health.live.get()).data?.status).toBe("ok");
    const ready = await api.health.ready.get();
    const database: boolean | undefined = ready.data?.checks["database"]?.ok;
    expect(database).toBe(true);
    if (ready.error?.status === 503) console.log(Object.keys(ready.error.value));
  });
});
