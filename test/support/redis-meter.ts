import type { RedisServer } from "./redis-server.ts";

/** What a client sends to set itself up, and what asks for these numbers. */
const OWN = /^(info|config|client|hello|select|command|ping|auth|subscribe|unsubscribe|script)\b/;

export interface RedisCost {
  /** How often each command ran, those inside of scripts too: `{evalsha: 1, hset: 500, …}`. */
  readonly commands: Readonly<Record<string, number>>;
  /** Calls over the wire: scripts, and commands outside of them as `outside` names them. */
  readonly roundTrips: number;
  /** Received and sent by the server, in bytes. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/**
 * What Redis does during some work, by its own count.
 *
 * @param outside commands that nothing calls from inside of a script
 */
export async function redisCost(
  server: RedisServer,
  work: () => Promise<unknown>,
  outside: readonly string[] = ["xrange", "publish"],
): Promise<RedisCost> {
  await server.command("CONFIG", "RESETSTAT");
  const idle = await bytes(server);
  const before = await bytes(server);
  await work();
  const after = await bytes(server);
  // To ask for the numbers takes some as well.
  const during = (way: "in" | "out"): number => after[way] - before[way] - (before[way] - idle[way]);
  const stats = String(await server.command("INFO", "commandstats"));
  const commands = Object.fromEntries(
    [...stats.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)].flatMap(([, name = "", calls]) =>
      OWN.test(name) ? [] : [[name, Number(calls)]],
    ),
  );
  const roundTrips = ["eval", "evalsha", ...outside].reduce((sum, name) => sum + (commands[name] ?? 0), 0);
  return { commands, roundTrips, bytesIn: during("in"), bytesOut: during("out") };
}

async function bytes(server: RedisServer): Promise<{ in: number; out: number }> {
  const stats = String(await server.command("INFO", "stats"));
  const of = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(stats)?.[1]);
  return { in: of("total_net_input_bytes"), out: of("total_net_output_bytes") };
}
