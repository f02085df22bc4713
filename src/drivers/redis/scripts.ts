import type { Callback, Cluster, Redis } from "ioredis";
import { LUA_NAMES } from "./keys.ts";
import acknowledge from "./scripts/acknowledge-1.lua" with { type: "text" };
import cancel from "./scripts/cancel-1.lua" with { type: "text" };
import claim from "./scripts/claim-1.lua" with { type: "text" };
import enqueue from "./scripts/enqueue-1.lua" with { type: "text" };
import heartbeat from "./scripts/heartbeat-1.lua" with { type: "text" };
import leave from "./scripts/leave-1.lua" with { type: "text" };
import lib from "./scripts/lib.lua" with { type: "text" };
import log from "./scripts/log-1.lua" with { type: "text" };
import missing from "./scripts/missing-1.lua" with { type: "text" };
import open from "./scripts/open-2.lua" with { type: "text" };
import reap from "./scripts/reap-1.lua" with { type: "text" };
import restrain from "./scripts/restrain-1.lua" with { type: "text" };
import settle from "./scripts/settle-1.lua" with { type: "text" };
import sweep from "./scripts/sweep-1.lua" with { type: "text" };

/** A single server (also behind Sentinel) or a cluster. */
export type Client = Redis | Cluster;

const SOURCES = { acknowledge, cancel, claim, enqueue, heartbeat, leave, log, missing, open, reap, restrain, settle, sweep };
export type ScriptName = keyof typeof SOURCES;

/** How many keys each script takes: the number in its file's name. */
const KEY_COUNTS: Partial<Record<ScriptName, number>> = { open: 2 };

/** Dragonfly refuses keys that are not declared unless it is told; to others it is a comment. All keys share one slot. */
const PRELUDE = `--!df flags=allow-undeclared-keys\n${LUA_NAMES}\n${lib}\n`;

export const SCRIPTS: Readonly<Record<ScriptName, { readonly lua: string; readonly numberOfKeys: number }>> = Object.fromEntries(
  Object.entries(SOURCES).map(([name, source]) => [
    name,
    { lua: PRELUDE + source, numberOfKeys: KEY_COUNTS[name as ScriptName] ?? 1 },
  ]),
) as never;

const commandOf = (name: ScriptName): string => `artel:${name}`;

/** Teaches a client the scripts: sent by their hash, and whole where the server does not know it. */
export function defineScripts(client: Client): void {
  for (const [name, definition] of Object.entries(SCRIPTS)) client.defineCommand(commandOf(name as ScriptName), definition);
}

/** Runs a script. @returns its answer */
export function runScript(client: Client, name: ScriptName, keysAndArgs: readonly (string | number)[]): Promise<unknown[]> {
  type Command = (...parts: readonly (string | number | Callback)[]) => Promise<unknown[]>;
  const command = (client as unknown as Record<string, Command>)[commandOf(name)] as Command;
  return command.apply(client, [...keysAndArgs]);
}
