/**
 * The broker of this run's servers: with ARTEL_TEST_BROKER=redis a real Redis, else the embedded one. `npm test` runs the suites
 * that start servers on both.
 */
import type { RedisSettings } from "../../src/compose-workers.ts";
import { RedisServer } from "./redis-server.ts";

export const onRedis = process.env["ARTEL_TEST_BROKER"] === "redis";

let server: Promise<RedisServer> | undefined;
let namespaces = 0;

/** One Redis for the whole process, which ends with it. */
export function runRedis(): Promise<RedisServer> {
  server ??= RedisServer.start();
  return server;
}

/** A namespace that no other server of this run has; undefined on the embedded broker. */
export async function brokerOfRun(): Promise<RedisSettings | undefined> {
  if (!onRedis) return undefined;
  const { url } = await runRedis();
  namespaces += 1;
  return { url, namespace: `test-${namespaces}` };
}
