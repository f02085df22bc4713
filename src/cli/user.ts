import { type Call, readCall, UsageError } from "../config.ts";
import type { AccountAdmin } from "../services/account-admin.ts";
import type { Command, Io } from "./commands.ts";

interface Action {
  readonly flags: Command["flags"];
  run(admin: AccountAdmin, email: string, call: Call, io: Io): Promise<void>;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  create: {
    flags: ["admin", "data"],
    async run(admin, email, call, io) {
      admin.expectFree(email);
      const { readNewPassword } = await import("./prompt.ts");
      const { email: made, role } = await admin.create(email, await readNewPassword(), call.on("admin") ? "admin" : "user");
      io.out(`made the account ${made}${role === "admin" ? ", an admin" : ""}`);
    },
  },
  promote: {
    flags: ["data"],
    async run(admin, email, _call, io) {
      admin.promote(email);
      io.out(`${admin.find(email).email} is an admin`);
    },
  },
  password: {
    flags: ["data"],
    async run(admin, email, _call, io) {
      const account = admin.find(email);
      const { readNewPassword } = await import("./prompt.ts");
      await admin.setPassword(account.email, await readNewPassword());
      io.out(`${account.email} has a new password; all sessions and tokens of the account have ended`);
    },
  },
  token: {
    flags: ["expires", "data"],
    async run(admin, email, call, io) {
      io.out((await admin.issueToken(email, call.duration("expires"))).token);
    },
  },
  revoke: {
    flags: ["data"],
    async run(admin, email, _call, io) {
      io.out(`sessions and tokens of ${admin.find(email).email} ended: ${admin.revoke(email)}`);
    },
  },
};
const WORDS = Object.keys(ACTIONS);

export const userCommand: Command = {
  name: "user",
  purpose: "make accounts and admins, set passwords, give out tokens and end them",
  usage: `user ${WORDS.join(" | ")} EMAIL [flags]`,
  flags: ["admin", "expires", "data"],
  words: WORDS,
  details: [
    "A new password is the first line of stdin, or typed at a terminal. A server that runs heeds all of this within a second.",
    "create also makes the database where there is none, so that there can be an admin before the first start.",
    "token prints an access token for programs. POST /auth/logout with it ends it; revoke ends all of an account's tokens and sessions.",
  ],
  example: "artel user create ada@example.com --admin",
  async run(args, io) {
    const call = readCall("user", args, userCommand.flags, io.environment, 2);
    const [name = "", email] = call.words;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!action) throw new UsageError(`artel user takes ${WORDS.join(", ")}`);
    if (email === undefined) throw new UsageError(`artel user ${name} takes an e-mail address`);
    // A flag of another action must not be passed over.
    readCall(`user ${name}`, args, action.flags, io.environment, 2);
    const { openAccounts } = await import("../compose-accounts.ts");
    using accounts = openAccounts(call.need("data"), name === "create", io.environment["ARTEL_SECRET"]);
    await action.run(accounts.admin, email, call, io);
    return 0;
  },
};
