import type { Server, ServerWebSocket } from "bun";
import { Elysia } from "elysia";
import type { Identity } from "../domain/account.ts";
import { Forbidden, InvalidInput, Unauthorized } from "../domain/errors.ts";
import type { Clock } from "../ports/runtime.ts";
import type { Accounts } from "../services/accounts.ts";
import { requireIdentity } from "./bearer.ts";
import type { FollowedRows } from "./follower.ts";
import type { OriginCheck } from "./origins.ts";
import { HttpError, problemResponses } from "./problem.ts";
import { NoticeSocket, type SocketEnd } from "./socket.ts";
import type { Topics } from "./topics.ts";

interface Deps extends FollowedRows {
  readonly accounts: Accounts;
  readonly topics: Topics;
  readonly originAllowed: OriginCheck;
  readonly clock: Clock;
}

const PROTOCOL = "artel.v1";
const TOKEN_PROTOCOL = "bearer.";

/** What Elysia's WebSocket dispatch calls on a connection's data. */
interface ConnectionData {
  open(ws: ServerWebSocket<unknown>): void;
  message(ws: ServerWebSocket<unknown>, message: string | Buffer): void;
  drain(ws: ServerWebSocket<unknown>): void;
  close(ws: ServerWebSocket<unknown>): void;
}

/** For the server: what bounds every socket. */
export const SOCKET_LIMITS = {
  /** Bytes of one frame from a client; a larger one closes with 1009. */
  maxPayloadLength: 64 * 1024,
  /** Bytes that may wait for a slow reader before it is cut off. */
  backpressureLimit: 1024 * 1024,
  closeOnBackpressureLimit: true,
  /** Seconds without a word (the pings that Bun sends are answered by any client) until a socket counts as dead. */
  idleTimeout: 60,
  sendPings: true,
  perMessageDeflate: false,
};

/** All open sockets. */
export class Notifications {
  readonly #deps: Deps;
  readonly #sockets = new Set<NoticeSocket>();

  constructor(deps: Deps) {
    this.#deps = deps;
    deps.accounts.onSessionEnded((sessionId) => {
      for (const socket of this.#sockets) if (socket.sessionId === sessionId) socket.end("unauthorized");
    });
  }

  get count(): number {
    return this.#sockets.size;
  }

  /** Closes every socket: the client should come back, to this server's successor. */
  closeAll(end: SocketEnd): void {
    for (const socket of this.#sockets) socket.end(end);
  }

  /** Upgrades a request whose identity is known. */
  upgrade(request: Request, server: Server<unknown>, identity: Identity, since: Since): void {
    const { accounts, store, workflows, topics, clock } = this.#deps;
    let socket: NoticeSocket | undefined;
    const data: ConnectionData = {
      open: (ws) => {
        socket = new NoticeSocket({
          ws,
          accounts,
          store,
          workflows,
          topics,
          clock,
          identity,
          onEnd: (ended) => this.#sockets.delete(ended),
        });
        this.#sockets.add(socket);
        socket.open(since.seq, since.epoch);
      },
      message: (_, message) => socket?.receive(message),
      drain: () => socket?.drained(),
      close: () => socket?.closed(),
    };
    const offered = protocols(request).includes(PROTOCOL);
    // Bun answers with the first protocol that was offered, which may be a token.
    request.headers.delete("sec-websocket-protocol");
    const headers = offered ? { headers: { "sec-websocket-protocol": PROTOCOL } } : {};
    if (!server.upgrade(request, { data, ...headers })) throw upgradeRequired();
  }
}

interface Since {
  readonly seq: number | undefined;
  readonly epoch: string | undefined;
}

/** The handshake: /ws/notifications. */
export function notificationRoutes(
  notifications: Notifications,
  { accounts, originAllowed }: Pick<Deps, "accounts" | "originAllowed">,
) {
  return new Elysia({ name: "artel/notifications", normalize: false }).get(
    "/ws/notifications",
    async ({ request, server }) => {
      if (!originAllowed(request)) throw new Forbidden("origin_not_allowed", "this Origin is not allowed; see --origins");
      const url = new URL(request.url);
      const identity = await identify(request, url, accounts);
      const since = sinceOf(url);
      notifications.upgrade(request, server as Server<unknown>, identity, since);
    },
    {
      parse: "none",
      detail: {
        operationId: "openNotices",
        summary: "Live notices over WebSocket",
        description:
          "Authorise by the header `Authorization: Bearer …`, by `?ticket=…` (see POST /auth/ws-ticket) or by the subprotocols " +
          "`artel.v1, bearer.<token>`. `?since=SEQ&epoch=E` catches up with what changed after SEQ. " +
          "A socket follows all tasks and workflows of its user; `task:ID` and `workflow:ID` are topics of their own.",
        tags: ["notices"],
        // A ticket or a subprotocol does as well, which is why the header may be left out.
        security: [{ bearer: [] }, {}],
        parameters: [
          { name: "ticket", in: "query", description: "Of POST /auth/ws-ticket.", schema: { type: "string" } },
          { name: "since", in: "query", description: "The last seq seen.", schema: { type: "integer", minimum: 0 } },
          { name: "epoch", in: "query", description: "Of the last `ready`.", schema: { type: "string" } },
        ],
        responses: { "101": { description: "The socket is open" }, ...problemResponses(401, 403, 422, 426) },
      },
    },
  );
}

/** By header, ticket or subprotocol, in this order. @throws Unauthorized */
function identify(request: Request, url: URL, accounts: Accounts): Identity | Promise<Identity> {
  if (request.headers.has("authorization")) return requireIdentity(request, accounts);
  const ticket = url.searchParams.get("ticket");
  if (ticket !== null) {
    // A ticket is good once: not to be spent on what cannot become a socket.
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") throw upgradeRequired();
    return accounts.redeemTicket(ticket);
  }
  const token = protocols(request).find((protocol) => protocol.startsWith(TOKEN_PROTOCOL));
  if (token === undefined)
    throw new Unauthorized(
      "unauthorized",
      "this needs a bearer token, a ticket, or the subprotocols artel.v1 and bearer.<token>",
    );
  return accounts.authenticate(token.slice(TOKEN_PROTOCOL.length));
}

const upgradeRequired = (): HttpError =>
  new HttpError(426, "upgrade_required", "this address speaks WebSocket only", { upgrade: "websocket" });

function protocols(request: Request): string[] {
  return (request.headers.get("sec-websocket-protocol") ?? "").split(",").map((protocol) => protocol.trim());
}

function sinceOf(url: URL): Since {
  const text = url.searchParams.get("since");
  if (text !== null && !/^\d{1,15}$/.test(text)) {
    throw new InvalidInput("invalid_since", "since must be a seq", [{ path: "/since", message: "must be a whole number" }]);
  }
  return { seq: text === null ? undefined : Number(text), epoch: url.searchParams.get("epoch") ?? undefined };
}
