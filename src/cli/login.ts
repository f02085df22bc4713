import { readCall, UsageError } from "../config.ts";
import type { Command } from "./commands.ts";

export const loginCommand: Command = {
  name: "login",
  purpose: "log in at a server; the session serves run, task and client",
  usage: "login EMAIL [--server URL]",
  flags: ["server"],
  details: [
    "The password is asked for, or is the first line of stdin. The session is kept in the user's configuration folder, in a file",
    "that only this user can read. Scripts need no session: ARTEL_TOKEN holds an access token for run and task.",
  ],
  example: "artel login ada@example.com",
  async run(args, io) {
    const call = readCall("login", args, loginCommand.flags, io.environment, 1);
    const [email] = call.words;
    if (email === undefined) throw new UsageError("artel login needs an e-mail address: artel login EMAIL");
    const { readPassword } = await import("./prompt.ts");
    const { login } = await import("./client/api.ts");
    const { serverOf } = await import("./client/connect.ts");
    const { configFolder, KeptSession } = await import("./client/session.ts");
    const server = serverOf(call);
    const session = new KeptSession(configFolder(io.environment), server);
    await session.open(email, await login(server, email, await readPassword()));
    io.out(`logged in at ${server} as ${email}`);
    return 0;
  },
};

export const logoutCommand: Command = {
  name: "logout",
  purpose: "end the session that login has opened",
  usage: "logout [--server URL]",
  flags: ["server"],
  example: "artel logout",
  async run(args, io) {
    const call = readCall("logout", args, logoutCommand.flags, io.environment);
    const { serverOf } = await import("./client/connect.ts");
    const { configFolder, KeptSession } = await import("./client/session.ts");
    const server = serverOf(call);
    const ended = await new KeptSession(configFolder(io.environment), server).end();
    io.out(ended ? `logged out at ${server}` : `nobody was logged in at ${server}`);
    return 0;
  },
};
