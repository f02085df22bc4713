import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Scene } from "../support/e2e-load.ts";
import { ownRedis } from "../support/e2e-site.ts";
import { RedisSentinels, type RedisServer } from "../support/redis-server.ts";
import { eventually, LIMIT_MS } from "../support/waiting.ts";

setDefaultTimeout(LIMIT_MS);

/** So much of the master's last writes is to be lost, in bytes. */
const LOST_BYTES = 20_000;

/** How far a server has come in what the master writes, in bytes. */
async function offsetOf(server: RedisServer): Promise<number> {
  return Number(/^master_repl_offset:(\d+)/m.exec(String(await server.command("INFO", "replication")))?.[1]);
}

/** From now on the replica hears nothing, and the Sentinels take it for a good one all the same. */
async function detach({ master, replica }: RedisSentinels): Promise<void> {
  await master.command("ACL", "SETUSER", "default", "-psync", "-sync");
  await master.command("CLIENT", "KILL", "TYPE", "replica");
  const isDown = async () =>
    String(await replica.command("INFO", "replication")).includes("master_link_status:down") || undefined;
  await eventually(isDown, "the end of the replication");
}

describe.skipIf(!ownRedis)("a failover", () => {
  test("to a replica that lacks the last writes, under load: everything ends once", async () => {
    await using group = await RedisSentinels.start();
    await using scene = await Scene.set({}, () => group.url);
    const { master, replica } = group;
    const [ada, bob] = scene.users;
    await Promise.all(scene.users.map((user) => user.load(150)));
    await ada.heard(200);
    await detach(group);
    const farEnough = async () => (await offsetOf(master)) > (await offsetOf(replica)) + LOST_BYTES || undefined;
    await eventually(farEnough, "writes that the replica lacks");
    await master.kill();
    await scene.until(503);
    await bob.load(10);
    await group.failedOver();
    await scene.expectSoon(replica);
    scene.open();
    await scene.expectAllWell();
    expect(await scene.readiness()).toEqual({ status: 200, broker: { ok: true } });
    await scene.expectConnections(replica);
  });
});
