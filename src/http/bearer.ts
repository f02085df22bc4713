import type { Identity } from "../domain/account.ts";
import { Forbidden, Unauthorized } from "../domain/errors.ts";
import type { Accounts } from "../services/accounts.ts";
import { type BodyParsers, readJson } from "./body.ts";

type Authenticator = Pick<Accounts, "authenticate">;

const BEARER = /^Bearer +([A-Za-z0-9\-._~+/]+=*) *$/i;

/** For the OpenAPI `security` of a route; the document declares the scheme `bearer`. */
export const BEARER_SECURITY = [{ bearer: [] as string[] }];

/**
 * Whom the request's `Authorization: Bearer …` speaks for.
 *
 * @returns at once for a token that is known; else a promise
 * @throws Unauthorized `unauthorized` without a token, `invalid_token` for a bad one; thrown or as a rejection
 */
export function requireIdentity(request: Request, accounts: Authenticator): Identity | Promise<Identity> {
  const token = BEARER.exec(request.headers.get("authorization") ?? "")?.[1];
  if (token === undefined) throw new Unauthorized("unauthorized", "this needs the header Authorization: Bearer <access token>");
  return accounts.authenticate(token);
}

/** @param what only admins see. @throws Unauthorized as `requireIdentity`; Forbidden `forbidden` */
export async function requireAdmin(request: Request, accounts: Authenticator, what: string): Promise<void> {
  const { role } = await requireIdentity(request, accounts);
  if (role !== "admin") throw new Forbidden("forbidden", `only admins see ${what}`);
}

/**
 * The `parse` of routes with a JSON body that want an identity. It reads nothing from somebody unknown: 401 comes before
 * 413, 400 and 422. The handler then has the identity at once from `requireIdentity`.
 */
export function identifiedJsonBody(accounts: Authenticator): BodyParsers {
  const read = ({ request }: { request: Request }): Promise<unknown> => {
    const identity = requireIdentity(request, accounts);
    return identity instanceof Promise ? identity.then(() => readJson(request)) : readJson(request);
  };
  return [read, "json"];
}
