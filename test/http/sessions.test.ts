import { describe, expect, test } from "bun:test";
import { PASSWORD } from "../support/accounts.ts";
import { problem } from "../support/problems.ts";
import { RawSocket } from "../support/raw-socket.ts";
import { suiteServer, TestServer, type User } from "../support/server.ts";

const PATH = "/ws/notifications";
const UNAUTHORIZED = { code: 4401, reason: "unauthorized" };

const { server } = await suiteServer({ logRequests: true });
const ada = await server.user();

const ticketOf = async (user: User): Promise<string> => {
  const response = await user.post("/auth/ws-ticket");
  const { ticket, expires_in } = (await response.json()) as { ticket: string; expires_in: number };
  expect([response.status, expires_in]).toEqual([201, 30]);
  return ticket;
};

/** Opens a socket by hand and gives what the server answered. */
const handshake = async (headers: Record<string, string>, query = "") => {
  const raw = await RawSocket.open(server.port, PATH + query, headers);
  const first = raw.handshake.status === 101 ? JSON.parse(String((await raw.frame())?.payload)) : undefined;
  raw.destroy();
  return { ...raw.handshake, first };
};

describe("the handshake", () => {
  test("by header", async () => {
    const { status, headers, first } = await handshake(ada.headers);
    expect(status).toBe(101);
    expect(headers.get("sec-websocket-protocol")).toBeNull();
    expect(first).toMatchObject({ type: "ready", user_id: ada.id });
  });

  test("by subprotocols: artel.v1 is the answer, in whatever order, and never the token", async () => {
    const token = `bearer.${ada.token}`;
    for (const [offer, answer] of [
      [`artel.v1, ${token}`, "artel.v1"],
      [`${token},artel.v1`, "artel.v1"],
      [token, null],
    ] as const) {
      const { status, headers, first } = await handshake({ "sec-websocket-protocol": offer });
      expect([status, headers.get("sec-websocket-protocol")]).toEqual([101, answer]);
      expect(first).toMatchObject({ type: "ready", user_id: ada.id });
    }
    const other = await handshake({ ...ada.headers, "sec-websocket-protocol": "graphql-ws, soap" });
    expect([other.status, other.headers.get("sec-websocket-protocol")]).toEqual([101, null]);
    const browser = await server.socket({ protocols: ["artel.v1", token] });
    expect(browser.socket.protocol).toBe("artel.v1");
  });

  test("by ticket, once; a plain request does not spend it", async () => {
    const ticket = await ticketOf(ada);
    const query = `?ticket=${ticket}`;
    expect(await problem(await server.fetch(PATH + query))).toMatchObject({ status: 426, code: "upgrade_required" });
    expect((await handshake({}, query)).first).toMatchObject({ type: "ready", user_id: ada.id });
    const again = await handshake({}, query);
    expect([again.status, JSON.parse(again.body).code]).toEqual([401, "invalid_ticket"]);
  });

  test("none or a bad one: 401 as a problem, no upgrade", async () => {
    for (const [headers, query] of [
      [{}, ""],
      [{ authorization: "Bearer a.b.c" }, ""],
      [{ authorization: "Basic YTpi" }, ""],
      [{ authorization: `Bearer ${ada.token}x` }, ""],
      [{}, "?ticket=nothing"],
      [{}, "?ticket="],
      [{}, `?token=${ada.token}`],
      [{ "sec-websocket-protocol": "artel.v1" }, ""],
      [{ "sec-websocket-protocol": "artel.v1, bearer.nothing" }, ""],
      [{ "sec-websocket-protocol": "artel.v1, bearer." }, ""],
      // Who cannot show who he is is told nothing else.
      [{}, "?since=x"],
    ] as [Record<string, string>, string][]) {
      const answer = await handshake(headers, query);
      expect(answer.status).toBe(401);
      const { status, headers: answered, body } = answer;
      expect(await problem(new Response(body, { status, headers: answered }))).toMatchObject({ status: 401 });
    }
    // A bad header is not made good by something else.
    expect((await handshake({ authorization: "Bearer x" }, `?ticket=${await ticketOf(ada)}`)).status).toBe(401);
  });

  test("a since that is none: 422", async () => {
    for (const since of ["x", "-1", "1.5", "", "1e3", "9999999999999999"]) {
      const answer = await handshake(ada.headers, `?since=${since}`);
      expect([answer.status, JSON.parse(answer.body).code]).toEqual([422, "invalid_since"]);
    }
  });

  test("without an upgrade: 426, also to HEAD", async () => {
    expect(await problem(await ada.get(PATH))).toMatchObject({ status: 426, code: "upgrade_required" });
    expect((await server.fetch(PATH, { method: "HEAD", headers: ada.headers })).status).toBe(426);
    expect(await problem(await server.fetch(PATH))).toMatchObject({ status: 401 });
    expect(await problem(await ada.post(PATH))).toMatchObject({ status: 405 });
  });

  test("no token and no ticket ever stands in the log", async () => {
    const ticket = await ticketOf(ada);
    await handshake({}, `?ticket=${ticket}`);
    await handshake({ "sec-websocket-protocol": `artel.v1, bearer.${ada.token}` });
    await handshake({}, `?token=${ada.token}`);
    await handshake({}, `?ticket=${ticket}&since=x`);
    const paths = server.lines
      .filter(({ message }) => message === "request")
      .map(({ fields }) => `${fields?.["path"]} ${fields?.["status"]}`);
    expect(paths).toContain(`${PATH} 101`);
    expect(paths).toContain(`${PATH} 401`);
    const log = JSON.stringify(server.lines);
    for (const secret of [ticket, ada.token, "ticket="]) expect(log).not.toContain(secret);
  });
});

describe("the end of a session closes its sockets with 4401", () => {
  test("a token that ends, unless it was renewed in time", async () => {
    const short = await server.token(ada.email, 2_500);
    const opened = await Promise.all([1, 2, 3].map(() => server.socket({ headers: { authorization: `Bearer ${short}` } })));
    const [left, renewed, twice] = opened as [(typeof opened)[0], (typeof opened)[0], (typeof opened)[0]];
    expect(await renewed.ask({ type: "auth", token: ada.token }, "authenticated")).toMatchObject({ type: "authenticated" });
    await twice.ask({ type: "auth", token: short }, "authenticated");
    expect(await left.close()).toEqual(UNAUTHORIZED);
    expect(await twice.close()).toEqual(UNAUTHORIZED);
    await renewed.settle();
    const id = await ada.submit("noop", {});
    await renewed.ended(id);
  });

  test("the token of another user, or none", async () => {
    const bob = await server.user();
    for (const token of [bob.token, "x", "", null, 1, undefined, `${ada.token}x`]) {
      const socket = await ada.socket();
      socket.send({ type: "auth", token });
      expect(await socket.close()).toEqual(UNAUTHORIZED);
    }
  });

  test("messages are taken in order, also behind a token that is being checked", async () => {
    const socket = await ada.socket();
    const from = socket.messages.length;
    // A new token each time: it is not known yet and has to be verified.
    for (const token of [await server.token(ada.email), await server.token(ada.email)]) {
      socket.send({ type: "auth", token });
      socket.send("ping");
    }
    await socket.until(() => socket.messages.length >= from + 4, "four answers");
    expect(socket.messages.slice(from).map(({ type }) => type)).toEqual(["authenticated", "pong", "authenticated", "pong"]);
  });

  test("logout: those of the session, also where it was only renewed into, and no others", async () => {
    const [token, other] = [await server.token(ada.email), await server.token(ada.email)];
    const bearer = { authorization: `Bearer ${token}` };
    const mine = await server.socket({ headers: bearer });
    const moved = await server.socket({ headers: { authorization: `Bearer ${other}` } });
    const away = await server.socket({ headers: bearer });
    await moved.ask({ type: "auth", token }, "authenticated");
    await away.ask({ type: "auth", token: other }, "authenticated");
    expect((await server.post("/auth/logout", undefined, bearer)).status).toBe(204);
    expect(await mine.close()).toEqual(UNAUTHORIZED);
    expect(await moved.close()).toEqual(UNAUTHORIZED);
    await away.settle();
    expect((await handshake(bearer)).status).toBe(401);
  });

  test("a ticket that was got before the logout opens nothing after it", async () => {
    const bearer = { authorization: `Bearer ${await server.token(ada.email)}` };
    const { ticket } = (await (await server.post("/auth/ws-ticket", undefined, bearer)).json()) as { ticket: string };
    await server.post("/auth/logout", undefined, bearer);
    expect((await handshake({}, `?ticket=${ticket}`)).status).toBe(401);
  });

  test("a changed password: those of the other sessions", async () => {
    const eve = await server.user();
    const [mine, other] = [
      await eve.socket(),
      await server.socket({ headers: { authorization: `Bearer ${await server.token(eve.email)}` } }),
    ];
    const body = { current_password: PASSWORD, new_password: "another horse battery" };
    expect((await eve.post("/auth/password", body)).status).toBe(204);
    expect(await other.close()).toEqual(UNAUTHORIZED);
    await mine.settle();
  });

  test("a password set by the command beside the server: all of them", async () => {
    const eve = await server.user();
    const socket = await eve.socket();
    await server.setPassword(eve.email, "yet another horse battery");
    expect(await socket.close()).toEqual(UNAUTHORIZED);
    expect((await eve.get("/auth/me")).status).toBe(401);
  });

  test("by the service's own register and login", async () => {
    const user = await server.register();
    const socket = await user.socket();
    const id = await user.submit("echo", { value: "hello" });
    expect(await socket.ended(id)).toMatchObject({ result: "hello" });
    await user.post("/auth/logout");
    expect(await socket.close()).toEqual(UNAUTHORIZED);
  });
});

test("who becomes an admin may follow everything from then on, on a socket that is open already", async () => {
  const user = await server.user();
  const socket = await user.socket();
  expect(await socket.ask({ type: "subscribe", topic: "tasks" }, "error")).toMatchObject({ code: "forbidden" });
  server.promote(user.email);
  await socket.ask({ type: "subscribe", topic: "tasks" }, "subscribed");
  await socket.ended(await ada.submit("noop", {}));
});

test("a drain closes with 1012", async () => {
  const ending = await TestServer.start();
  try {
    const user = await ending.user();
    const sockets = [
      await user.socket(),
      await user.socket("?since=0"),
      await ending.socket({ headers: user.headers, protocols: ["artel.v1"] }),
    ];
    await ending.drain();
    for (const socket of sockets) expect(await socket.close()).toEqual({ code: 1012, reason: "service restart" });
  } finally {
    await ending.stop();
  }
});
