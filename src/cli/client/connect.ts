import type { Call } from "../../config.ts";
import { Api } from "./api.ts";
import { configFolder, GivenToken, KeptSession, type Session } from "./session.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** The server that a command speaks to, as `http://HOST:PORT`. */
export const serverOf = (call: Call): string => new URL(call.need("server")).origin;

/** Who speaks: ARTEL_TOKEN, or the session that `artel login` keeps. @throws NoSession */
export function sessionOf(server: string, environment: Environment): Session {
  const token = environment["ARTEL_TOKEN"]?.trim();
  return token ? new GivenToken(token) : new KeptSession(configFolder(environment), server);
}

/** @throws NoSession */
export function apiOf(call: Call, environment: Environment): Api {
  const server = serverOf(call);
  return new Api(server, sessionOf(server, environment));
}
