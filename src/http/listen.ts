import type { Server } from "bun";
import { StartupError } from "../domain/errors.ts";

export interface Address {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
}

/** Seconds that a connection may stay without a word. */
const IDLE_SECONDS = 60;

/** An Elysia app, as far as listening needs it. */
interface App {
  listen(options: object, started: (server: unknown) => void): unknown;
}

/** As `http://HOST:PORT`. */
export const urlOf = (host: string, server: Server<unknown>): string =>
  `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`;

/** Serves the app. @throws StartupError `port_in_use`, `cannot_listen` */
export async function listen(app: App, { host, port }: Address): Promise<Server<unknown>> {
  try {
    // reusePort would let a second server share the port unseen.
    return await new Promise((resolve) =>
      app.listen({ hostname: host, port, reusePort: false, idleTimeout: IDLE_SECONDS }, (server) =>
        resolve(server as Server<unknown>),
      ),
    );
  } catch (cause) {
    throw await cannotListen(host, port, cause);
  }
}

/**
 * Takes the port and lets it go: a start that would fail for it has then changed nothing.
 *
 * @throws StartupError `port_in_use`, `cannot_listen`
 */
export async function refuseTakenPort({ host, port }: Address): Promise<void> {
  try {
    const probe = Bun.serve({ hostname: host, port, reusePort: false, fetch: () => new Response(null, { status: 503 }) });
    await probe.stop(true);
  } catch (cause) {
    throw await cannotListen(host, port, cause);
  }
}

async function cannotListen(host: string, port: number, cause: unknown): Promise<StartupError> {
  // Loaded for the one who is told: a start does without.
  const [{ isIP }, { lookup }] = await Promise.all([import("node:net"), import("node:dns/promises")]);
  // Bun says of an unknown name, too, that it is in use.
  if (isIP(host) === 0 && !(await lookup(host).catch(() => undefined))) {
    return new StartupError("cannot_listen", `${host} is no address of this machine: choose another --host`, { cause });
  }
  if ((cause as { code?: string }).code === "EADDRINUSE") {
    return new StartupError("port_in_use", `${host}:${port} is in use: stop what listens there or choose another --port`, {
      cause,
    });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return new StartupError("cannot_listen", `cannot listen on ${host}:${port} (${why}): choose another --host or --port`, {
    cause,
  });
}
