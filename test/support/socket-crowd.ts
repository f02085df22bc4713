/**
 * Thousands of WebSockets in a process of their own, which shares neither files nor turns with the test: it runs this file, is
 * sent one CrowdPlan, answers when all sockets are ready, and then answers each `hear` with what they have heard.
 */
import { isNotice, type Message } from "./notices.ts";
import { within } from "./waiting.ts";

export interface CrowdPlan {
  readonly url: string;
  /** One for each user. */
  readonly tokens: readonly string[];
  readonly socketsEach: number;
}

/** For each user: the ids of the tasks that a socket heard the end of, sorted and joined, to how many sockets heard just that. */
export type Heard = readonly Readonly<Record<string, number>>[];

/** So many shake hands at a time: a server's line of those that knock is not endless. */
const OPENING = 200;

export class Crowd implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"ignore", "inherit", "inherit">;
  #answer = Promise.withResolvers<unknown>();

  private constructor() {
    this.#child = Bun.spawn([process.execPath, import.meta.path], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message) => this.#answer.resolve(message),
      onExit: (_, code) => this.#answer.reject(new Error(`the crowd ended with ${code}`)),
    });
  }

  /** Opens all sockets; resolves once each has had its `ready`. */
  static async open(plan: CrowdPlan): Promise<Crowd> {
    const crowd = new Crowd();
    await crowd.#ask(plan);
    return crowd;
  }

  /** What the sockets have heard, once all that was sent to them before has come. */
  async hear(): Promise<Heard> {
    return (await this.#ask("hear")) as Heard;
  }

  /** Ends it, and all its sockets with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#answer.promise.catch(() => {});
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #ask(question: unknown): Promise<unknown> {
    this.#answer = Promise.withResolvers();
    this.#child.send(question);
    return await within(this.#answer.promise, "the crowd's answer");
  }
}

/** One socket of the crowd; what it must not see ends the whole process. */
class Member {
  readonly user: number;
  readonly #socket: WebSocket;
  readonly #ended: string[] = [];
  #reply = Promise.withResolvers<void>();

  constructor(url: string, token: string, user: number) {
    this.user = user;
    const headers = { authorization: `Bearer ${token}` };
    this.#socket = new WebSocket(`${url.replace("http", "ws")}/ws/notifications`, { headers } as unknown as string[]);
    this.#socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)) as Message);
    this.#socket.onclose = ({ code }) => {
      throw new Error(`a socket closed with ${code}`);
    };
  }

  /** The answer to its handshake, or to its last ping. */
  get reply(): Promise<void> {
    return this.#reply.promise;
  }

  /** All that came before the answer to a ping. */
  async heard(): Promise<string> {
    this.#reply = Promise.withResolvers();
    this.#socket.send("ping");
    await this.reply;
    return this.#ended.toSorted().join();
  }

  #take(message: Message): void {
    if (!isNotice(message)) this.#reply.resolve();
    else if (message.status === "done") this.#ended.push(message.task_id);
  }
}

async function open({ url, tokens, socketsEach }: CrowdPlan): Promise<Member[]> {
  const members: Member[] = [];
  const open = async (): Promise<void> => {
    while (members.length < tokens.length * socketsEach) {
      const user = members.length % tokens.length;
      const member = new Member(url, tokens[user] ?? "", user);
      members.push(member);
      await member.reply;
    }
  };
  await Promise.all(Array.from({ length: OPENING }, open));
  return members;
}

async function hear(members: readonly Member[]): Promise<Heard> {
  const heard: Record<string, number>[] = [];
  for (const [user, texts] of Map.groupBy(
    await Promise.all(members.map(async (member) => [member.user, await member.heard()] as const)),
    ([user]) => user,
  )) {
    const counts: Record<string, number> = {};
    for (const [, text] of texts) counts[text] = (counts[text] ?? 0) + 1;
    heard[user] = counts;
  }
  return heard;
}

if (import.meta.main) {
  let members: readonly Member[] = [];
  process.on("message", async (question: CrowdPlan | "hear") => {
    if (question === "hear") return process.send?.(await hear(members));
    members = await open(question);
    return process.send?.("ready");
  });
}
