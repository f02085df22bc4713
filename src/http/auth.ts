import { Type } from "@sinclair/typebox";
import { type DocumentDecoration, Elysia, type TSchema, t } from "elysia";
import type { Account } from "../domain/account.ts";
import type { Accounts, TokenPair } from "../services/accounts.ts";
import { BEARER_SECURITY, identifiedJsonBody, requireIdentity } from "./bearer.ts";
import { jsonBody } from "./body.ts";
import type { ClientAddress } from "./client-address.ts";
import { problemResponses, type ResponsesDocument } from "./problem.ts";

export interface AuthRoutesDeps {
  readonly accounts: Accounts;
  readonly clientAddress: ClientAddress;
}

const STRICT = { additionalProperties: false };

const Email = t.String({ description: "At most 254 bytes; kept in lower case.", examples: ["ada@example.com"] });
const NewPassword = t.String({
  description: "8 to 1,024 characters, and none of those that are guessed first.",
  examples: ["correct horse battery"],
});
const Password = t.String({ examples: ["correct horse battery"] });
export const CredentialsBody = t.Object({ email: Email, password: Password }, STRICT);
export const RegisterBody = t.Object({ email: Email, password: NewPassword }, STRICT);
export const RefreshBody = t.Object({ refresh_token: t.String() }, STRICT);
export const PasswordBody = t.Object({ current_password: Password, new_password: NewPassword }, STRICT);

export const AccountAnswer = t.Object({
  id: t.String({ format: "uuid" }),
  email: t.String(),
  role: t.Union([t.Literal("user"), t.Literal("admin")]),
  created_at: t.String({ format: "date-time" }),
});
export const TokensAnswer = t.Object({
  access_token: t.String(),
  token_type: t.Literal("bearer"),
  expires_in: Type.Integer({ description: "Seconds until the access token ends." }),
  refresh_token: t.String({ description: "Good for one refresh." }),
});
export const TicketAnswer = t.Object({ ticket: t.String(), expires_in: Type.Integer({ description: "Seconds." }) });

const BODY_PROBLEMS = [400, 413, 415, 422];

/** What OpenAPI tells of a route; the answers are declared here and not as `response`, which would check each at run time. */
function describe(
  operationId: string,
  summary: string,
  [status, meaning, schema]: readonly [status: number, meaning: string, schema?: TSchema],
  problems: readonly number[],
  identified = false,
): DocumentDecoration {
  const content = schema === undefined ? {} : { content: { "application/json": { schema } } };
  const success = { [String(status)]: { description: meaning, ...content } } as ResponsesDocument;
  return {
    operationId,
    summary,
    tags: ["accounts"],
    security: identified ? BEARER_SECURITY : [],
    responses: { ...success, ...problemResponses(...problems, 503) },
  };
}

/** Accounts and sessions: /auth/*. */
export function authRoutes({ accounts, clientAddress }: AuthRoutesDeps) {
  return (
    new Elysia({ name: "artel/auth", prefix: "/auth", normalize: false })
      // Tokens and tickets stand in the answers: no cache may keep them.
      .onAfterHandle(({ set }) => {
        set.headers["cache-control"] = "no-store";
      })
      .post(
        "/register",
        async ({ body, request, server, set }) => {
          const account = await accounts.register(body, clientAddress(request, server));
          set.status = 201;
          return accountView(account);
        },
        {
          parse: jsonBody(),
          body: RegisterBody,
          detail: describe(
            "register",
            "Create an account",
            [201, "The new account", AccountAnswer],
            [...BODY_PROBLEMS, 409, 429],
          ),
        },
      )
      .post(
        "/login",
        async ({ body, request, server }) => tokensView(await accounts.login(body, clientAddress(request, server))),
        {
          parse: jsonBody(),
          body: CredentialsBody,
          detail: describe("login", "Log in", [200, "A new session's tokens", TokensAnswer], [...BODY_PROBLEMS, 401, 429]),
        },
      )
      .post(
        "/refresh",
        async ({ body, request, server }) =>
          tokensView(await accounts.refresh(body.refresh_token, clientAddress(request, server))),
        {
          parse: jsonBody(),
          body: RefreshBody,
          detail: describe(
            "refreshSession",
            "Trade a refresh token for new tokens; a spent one ends its session",
            [200, "The session's new tokens", TokensAnswer],
            [...BODY_PROBLEMS, 401, 429],
          ),
        },
      )
      .post(
        "/logout",
        async ({ request, set }) => {
          accounts.logout(await requireIdentity(request, accounts));
          set.status = 204;
        },
        { parse: "none", detail: describe("logout", "End the session, its tokens and its sockets", [204, "Ended"], [401], true) },
      )
      .get("/me", async ({ request }) => accountView(accounts.me(await requireIdentity(request, accounts))), {
        detail: describe("getAccount", "The account of the token", [200, "The account", AccountAnswer], [401], true),
      })
      .post(
        "/password",
        async ({ body, request, server, set }) => {
          const identity = await requireIdentity(request, accounts);
          await accounts.changePassword(identity, body.current_password, body.new_password, clientAddress(request, server));
          set.status = 204;
        },
        {
          parse: identifiedJsonBody(accounts),
          body: PasswordBody,
          detail: describe(
            "changePassword",
            "Change the password; other sessions end",
            [204, "Changed"],
            [...BODY_PROBLEMS, 401, 403, 409, 429],
            true,
          ),
        },
      )
      .post(
        "/ws-ticket",
        async ({ request, set }) => {
          const { ticket, expiresIn } = accounts.issueTicket(await requireIdentity(request, accounts));
          set.status = 201;
          return { ticket, expires_in: expiresIn };
        },
        {
          parse: "none",
          detail: describe(
            "createTicket",
            "A ticket that opens one WebSocket, where no header can be set",
            [201, "The ticket", TicketAnswer],
            [401, 429],
            true,
          ),
        },
      )
  );
}

function accountView({ id, email, role, createdAt }: Account) {
  return { id, email, role, created_at: new Date(createdAt).toISOString() };
}

function tokensView({ accessToken, expiresIn, refreshToken }: TokenPair) {
  return { access_token: accessToken, token_type: "bearer" as const, expires_in: expiresIn, refresh_token: refreshToken };
}
