import { describe, expect, test } from "bun:test";
import { several } from "../contracts/bench.ts";
import { redisPath, sharedRedis } from "../support/redis-server.ts";
import { openBroker, Parties, usable } from "./redis-parties.ts";

const server = await sharedRedis();
const REMOVED = /^info removed from Redis/;

describe.skipIf(redisPath === undefined)("what servers of other versions have left", () => {
  test("is removed by the namespace's server, and nothing else is, however much there is", async () => {
    const namespace = "former.*";
    const prefixes = [`{${namespace}}:v0:`, `{${namespace}}:v12:`];
    const theirs = ["{former}:v0:jobs", "{former.*2}:v0:jobs", `x{${namespace}}:v0:jobs`, `{${namespace}}:vault:jobs`, "jobs"];
    for (const key of [...prefixes.map((prefix) => `${prefix}jobs`), ...theirs]) await server.command("HSET", key, "a", "b");
    // Far more than one step looks at.
    const lanes = Array.from({ length: 5_000 }, (_, i) => [`${prefixes[i % 2]}lane:${i}`, "x"]).flat();
    await server.command("MSET", ...lanes);
    const strangers = Array.from({ length: 5_000 }, (_, i) => [`stranger:${i}`, "x"]).flat();
    await server.command("MSET", ...strangers);

    // A worker, which owns nothing, removes nothing: what it would do first of all, it has done before it is answered.
    const worker = openBroker(server.url, { namespace });
    await usable(worker);
    await worker.missing([{ id: "any", fence: 1 }]);
    await worker.stop();
    expect(await server.command("EXISTS", ...prefixes.map((prefix) => `${prefix}jobs`))).toBe(2);

    await using parties = await Parties.open(server.url, { namespace });
    const jobs = several(3);
    await parties.api.enqueue(jobs);
    await parties.journal.says(REMOVED);
    expect(parties.journal.of(REMOVED)).toEqual([expect.stringContaining('{"keys":5002}')]);
    const keys = (await server.command("KEYS", "*")) as string[];
    expect(keys.filter((key) => prefixes.some((prefix) => key.startsWith(prefix)))).toEqual([]);
    expect(keys.filter((key) => key.startsWith("stranger:"))).toHaveLength(5_000);
    expect(await server.command("EXISTS", ...theirs)).toBe(theirs.length);
    expect(await parties.claim(9)).toEqual(jobs);
  });
});
