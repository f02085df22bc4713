import type { RedisSettings } from "../compose-workers.ts";
import { type Call, UsageError } from "../config.ts";

/**
 * What --redis and --namespace say; undefined: no Redis.
 *
 * @throws UsageError where the URL is not to be understood
 */
export async function redisOf(call: Call): Promise<RedisSettings | undefined> {
  const url = call.text("redis");
  if (url === undefined) return undefined;
  const { connector, RedisUrlError } = await import("../drivers/redis/url.ts");
  try {
    connector(url);
  } catch (error) {
    if (error instanceof RedisUrlError) throw new UsageError(`--redis: ${error.message}`);
    throw error;
  }
  return { url, namespace: call.need("namespace") };
}
