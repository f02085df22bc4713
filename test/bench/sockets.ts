/**
 * WebSockets that only count, in a process of their own, over plain sockets: what they cost themselves must not hide what the
 * server does. It runs this file, is sent one SocketPlan, answers when all follow what they should, and again once all have heard.
 */
import { randomBytes } from "node:crypto";

export interface SocketPlan {
  readonly port: number;
  readonly path: string;
  readonly token: string;
  readonly sockets: number;
  /** Text frames that each sends after the handshake, by its number. The server greets first, and answers each. */
  readonly first?: readonly (readonly string[])[];
  /** How many messages that end a task each is to hear. */
  readonly ends: number;
}

/** A message that holds this ends a task; rivals send it as well. */
export const END = '"status":"done"';
/** So many shake hands at a time: a server's line of those that knock is not endless. */
const OPENING = 100;

/** The crowd as the bench sees it. */
export class Sockets implements AsyncDisposable {
  readonly #child: Bun.Subprocess;
  #answer = Promise.withResolvers<unknown>();

  private constructor() {
    this.#child = Bun.spawn([process.execPath, import.meta.path], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message) => this.#answer.resolve(message),
      onExit: (_, code) => this.#answer.reject(new Error(`the sockets' process ended with ${code}`)),
    });
  }

  /** Opens all; resolves once each has been answered to all that it said first. */
  static async open(plan: SocketPlan): Promise<Sockets> {
    const sockets = new Sockets();
    sockets.#child.send(plan);
    await sockets.#answer.promise;
    sockets.#answer = Promise.withResolvers();
    return sockets;
  }

  /** Resolves once all have heard what they are to hear. @returns how many messages came in all since they were open */
  async heard(): Promise<number> {
    return (await this.#answer.promise) as number;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#answer.promise.catch(() => {});
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

/** What all sockets of this process have in common. */
class Count {
  messages = 0;
  #left: number;
  readonly #done: () => void;

  constructor(sockets: number, done: () => void) {
    this.#left = sockets;
    this.#done = done;
  }

  oneHasAll(): void {
    this.#left -= 1;
    if (this.#left === 0) this.#done();
  }
}

/** One socket: its handshake, then frames. */
class Listener {
  readonly ready = Promise.withResolvers<void>();
  readonly #plan: SocketPlan;
  readonly #first: readonly string[];
  readonly #count: Count;
  #pending: Buffer = Buffer.alloc(0);
  #open = false;
  /** Messages to come before it is ready: the greeting, and an answer to all that it says. */
  #owed: number;
  #ends = 0;

  constructor(plan: SocketPlan, number: number, count: Count) {
    this.#plan = plan;
    this.#first = plan.first?.[number] ?? [];
    this.#count = count;
    this.#owed = this.#first.length + 1;
  }

  async connect(): Promise<void> {
    const { port, path, token } = this.#plan;
    const key = randomBytes(16).toString("base64");
    const head = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n`;
    await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.write(`${head}Sec-WebSocket-Key: ${key}\r\nAuthorization: Bearer ${token}\r\n\r\n`),
        data: (socket, data) => this.#take(data, (frame) => void socket.write(frame)),
        close: () => {
          throw new Error("a socket was closed");
        },
      },
    });
    await this.ready.promise;
  }

  #take(data: Buffer, write: (frame: Buffer) => void): void {
    // Bun uses the chunk's memory again.
    this.#pending = this.#pending.length === 0 ? Buffer.from(data) : Buffer.concat([this.#pending, data]);
    if (!this.#open) {
      const end = this.#pending.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (!this.#pending.toString("latin1", 0, end).startsWith("HTTP/1.1 101")) throw new Error("the handshake was refused");
      this.#open = true;
      this.#pending = this.#pending.subarray(end + 4);
      for (const text of this.#first) write(frameOf(text));
    }
    for (let frame = this.#frame(); frame; frame = this.#frame()) this.#message(frame);
  }

  /** The next whole message, taken off what came. */
  #frame(): Buffer | undefined {
    const pending = this.#pending;
    if (pending.length < 2) return undefined;
    const short = (pending[1] as number) & 127;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (pending.length < head) return undefined;
    const length = short < 126 ? short : short === 126 ? pending.readUInt16BE(2) : Number(pending.readBigUInt64BE(2));
    if (pending.length < head + length) return undefined;
    this.#pending = pending.subarray(head + length);
    return pending.subarray(head, head + length);
  }

  #message(frame: Buffer): void {
    if (this.#owed > 0) {
      this.#owed -= 1;
      if (this.#owed === 0) this.ready.resolve();
      return;
    }
    this.#count.messages += 1;
    if (!frame.includes(END)) return;
    this.#ends += 1;
    if (this.#ends === this.#plan.ends) this.#count.oneHasAll();
  }
}

/** A client's text frame: masked, with a mask of noughts, which changes nothing. Up to 125 bytes. */
function frameOf(text: string): Buffer {
  const body = Buffer.from(text);
  if (body.length > 125) throw new Error("too long for this frame");
  return Buffer.concat([Buffer.from([0x81, 0x80 | body.length, 0, 0, 0, 0]), body]);
}

async function main(plan: SocketPlan): Promise<void> {
  const count = new Count(plan.sockets, () => process.send?.(count.messages));
  let next = 0;
  const openSome = async (): Promise<void> => {
    while (next < plan.sockets) {
      next += 1;
      await new Listener(plan, next - 1, count).connect();
    }
  };
  await Promise.all(Array.from({ length: OPENING }, openSome));
  process.send?.("open");
}

if (import.meta.main) process.on("message", (plan: SocketPlan) => void main(plan));
