import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";

const HEAD_END = "\r\n\r\n";

/** How the server answered a handshake, before any library could make something of it. */
export interface Handshake {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** A WebSocket by hand: it shows the server's own bytes, and it can stop reading. */
export class RawSocket {
  readonly handshake: Handshake;
  readonly #socket: Socket;
  #received: Buffer;
  #ended = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket, handshake: Handshake, rest: Buffer) {
    this.#socket = socket;
    this.handshake = handshake;
    this.#received = rest;
    socket.on("data", (chunk: Buffer) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on("end", end).on("close", end).on("error", end);
  }

  /** Sends a handshake and reads its answer; a refused one has its body. */
  static async open(port: number, path: string, headers: Record<string, string>): Promise<RawSocket> {
    const socket = createConnection({ host: "127.0.0.1", port });
    await once(socket, "connect");
    const sent = {
      host: `127.0.0.1:${port}`,
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": randomBytes(16).toString("base64"),
      ...headers,
    };
    socket.write(
      `GET ${path} HTTP/1.1\r\n${Object.entries(sent)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join("")}\r\n`,
    );
    let received = Buffer.alloc(0);
    let end = -1;
    while (end < 0) {
      const [chunk] = (await once(socket, "data")) as [Buffer];
      received = Buffer.concat([received, chunk]);
      end = received.indexOf(HEAD_END);
    }
    const [first = "", ...lines] = received.subarray(0, end).toString("latin1").split("\r\n");
    const status = Number(first.split(" ")[1]);
    const answered = new Headers(
      lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()] as [string, string]),
    );
    let rest = received.subarray(end + HEAD_END.length);
    const length = Number(answered.get("content-length") ?? 0);
    while (status !== 101 && rest.length < length) {
      const [chunk] = (await once(socket, "data")) as [Buffer];
      rest = Buffer.concat([rest, chunk]);
    }
    return new RawSocket(socket, { status, headers: answered, body: status === 101 ? "" : rest.toString() }, rest);
  }

  /** Takes nothing more from the kernel: what the server sends piles up. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  send(opcode: number, payload: Buffer | string, final = true): void {
    this.#socket.write(encode(opcode, payload, final));
  }

  /** Text frames in one write, so that the other end finds them all at once. */
  burst(texts: readonly string[]): void {
    this.#socket.write(Buffer.concat(texts.map((text) => encode(1, text, true))));
  }

  /** The next whole frame; undefined: the connection is over. */
  async frame(): Promise<{ readonly opcode: number; readonly payload: Buffer } | undefined> {
    for (;;) {
      const frame = this.#take();
      if (frame) return frame;
      if (this.#ended) return undefined;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  /** All frames until the connection is over. */
  async rest(): Promise<{ readonly opcode: number; readonly payload: Buffer }[]> {
    const frames = [];
    for (let frame = await this.frame(); frame; frame = await this.frame()) frames.push(frame);
    return frames;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #take(): { opcode: number; payload: Buffer } | undefined {
    const [first, second] = this.#received;
    if (first === undefined || second === undefined) return undefined;
    const short = second & 0x7f;
    const start = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (this.#received.length < start) return undefined;
    const length =
      short === 126 ? this.#received.readUInt16BE(2) : short === 127 ? Number(this.#received.readBigUInt64BE(2)) : short;
    if (this.#received.length < start + length) return undefined;
    const payload = this.#received.subarray(start, start + length);
    this.#received = this.#received.subarray(start + length);
    return { opcode: first & 0x0f, payload };
  }
}

/** A client's frame: masked. */
function encode(opcode: number, payload: Buffer | string, final: boolean): Buffer {
  const data = typeof payload === "string" ? Buffer.from(payload) : payload;
  const mask = randomBytes(4);
  const head = Buffer.alloc(data.length < 126 ? 2 : data.length < 65_536 ? 4 : 10);
  head[0] = (final ? 0x80 : 0) | opcode;
  head[1] = 0x80 | (head.length === 2 ? data.length : head.length === 4 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(data.length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(data.length), 2);
  const masked = data.map((byte, i) => byte ^ (mask[i % 4] ?? 0));
  return Buffer.concat([head, mask, masked]);
}
