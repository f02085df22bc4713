/** A network between a program and a server that does as a test says: slow, silent, or cut in the middle of an answer. */

type Socket = Bun.Socket<undefined>;

const HOST = "127.0.0.1";

/** One direction of a connection: bytes come out in order, each so long after it came in. */
class Pipe {
  #to: Socket | undefined;
  readonly #queue: { readonly due: number; data: Buffer | "end" }[] = [];
  readonly #network: Network;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(network: Network) {
    this.#network = network;
  }

  /** Where it leads, once that is known. */
  set to(socket: Socket) {
    this.#to = socket;
    this.pump();
  }

  push(data: Buffer | "end"): void {
    this.#queue.push({ due: performance.now() + this.#network.latencyMs, data });
    this.pump();
  }

  /** Lets out what is due, as far as the other side takes it. */
  pump(): void {
    clearTimeout(this.#timer);
    for (let next = this.#queue[0]; next && this.#to && !this.#network.stalled; next = this.#queue[0]) {
      const early = next.due - performance.now();
      if (early > 0) {
        this.#timer = setTimeout(() => this.pump(), Math.ceil(early));
        return;
      }
      if (next.data === "end") this.#to.end();
      else {
        const written = Math.max(0, this.#to.write(next.data));
        // The socket calls when it has room again.
        if (written < next.data.length) {
          next.data = next.data.subarray(written);
          return;
        }
      }
      this.#queue.shift();
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
  }
}

/** What all connections of a proxy share. */
interface Network {
  readonly latencyMs: number;
  readonly stalled: boolean;
}

/** A connection through the proxy. */
class Link {
  readonly requests: Pipe;
  readonly answers: Pipe;
  readonly #client: Socket;
  #server: Socket | undefined;
  /** So many bytes of answers are left until it is cut; then it calls. */
  #limit: { left: number; readonly onCut: () => void };
  #over = false;
  /** Both ends are there. */
  whole = true;

  constructor(network: Network, client: Socket, limit: number, onCut: () => void) {
    this.requests = new Pipe(network);
    this.answers = new Pipe(network);
    this.answers.to = client;
    this.#client = client;
    this.#limit = { left: limit, onCut };
  }

  set server(socket: Socket) {
    this.#server = socket;
    if (this.#over) socket.terminate();
    else this.requests.to = socket;
  }

  limit(left: number, onCut: () => void): void {
    this.#limit = { left, onCut };
  }

  /** The client gets as much of it as may come through, then the connection's end. */
  answered(data: Buffer): void {
    if (this.#over) return;
    const part = data.subarray(0, this.#limit.left);
    this.#limit.left -= part.length;
    if (part.length > 0) this.answers.push(part);
    if (this.#limit.left > 0) return;
    this.#leave();
    this.answers.push("end");
    this.#limit.onCut();
  }

  /** Both ends see their connection reset. */
  reset(): void {
    this.#leave();
    this.answers.stop();
    this.#client.terminate();
  }

  #leave(): void {
    this.#over = true;
    this.requests.stop();
    this.#server?.terminate();
  }
}

export class TcpProxy implements Network, Disposable {
  /** Each way, in milliseconds. */
  latencyMs = 0;
  /** How many bytes of answers a new connection brings before it is cut. */
  budget: () => number = () => Number.POSITIVE_INFINITY;
  /** How often a connection was cut because its budget was spent. */
  spent = 0;
  readonly #port: number;
  readonly #listener: Bun.TCPSocketListener<undefined>;
  readonly #links = new Map<Socket, Link>();
  #stalled = false;
  #armed: { readonly asks: (request: string) => boolean; readonly bytes: number; readonly onCut: () => void } | undefined;

  /** @param port a server's, on this machine */
  constructor(port: number) {
    this.#port = port;
    this.#listener = Bun.listen<undefined>({
      hostname: HOST,
      port: 0,
      socket: {
        open: (client) => this.#open(client),
        data: (client, data) => this.#asked(client, data),
        drain: (client) => this.#links.get(client)?.answers.pump(),
        close: (client) => {
          this.#links.get(client)?.requests.push("end");
          this.#closed(client);
        },
        error: () => {},
      },
    });
  }

  /** For clients of a Redis. */
  get url(): string {
    return `redis://${HOST}:${this.#listener.port}`;
  }

  /** Connections that are not over yet. */
  get connections(): number {
    return this.#links.size;
  }

  get stalled(): boolean {
    return this.#stalled;
  }

  /** From now on nothing comes through, and neither side is told; connections are still taken. */
  stall(): void {
    this.#stalled = true;
  }

  /** What was sent meanwhile comes through. */
  resume(): void {
    this.#stalled = false;
    for (const { requests, answers } of this.#links.values()) for (const pipe of [requests, answers]) pipe.pump();
  }

  /** Resets all connections that there are. */
  reset(): void {
    for (const link of this.#links.values()) link.reset();
  }

  /** Cuts the next connection that asks such a thing, behind so many bytes of what it is answered. Resolves once it is cut. */
  cut(asks: (request: string) => boolean, bytes: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#armed = { asks, bytes, onCut: resolve };
    return promise;
  }

  [Symbol.dispose](): void {
    this.#listener.stop(true);
    this.reset();
  }

  #open(client: Socket): void {
    const link = new Link(this, client, this.budget(), () => {
      this.spent += 1;
    });
    this.#links.set(client, link);
    Bun.connect<undefined>({
      hostname: HOST,
      port: this.#port,
      socket: {
        open: (server) => {
          link.server = server;
        },
        data: (_, data) => link.answered(Buffer.from(data)),
        drain: () => link.requests.pump(),
        close: () => {
          link.answers.push("end");
          this.#closed(client);
        },
        error: () => {},
      },
    }).catch(() => {
      link.reset();
      this.#closed(client);
    });
  }

  /** One end of a connection is gone: it is over with the other one's. */
  #closed(client: Socket): void {
    const link = this.#links.get(client);
    if (!link?.whole) this.#links.delete(client);
    else link.whole = false;
  }

  #asked(client: Socket, data: Buffer): void {
    const link = this.#links.get(client);
    const armed = this.#armed;
    if (armed?.asks(data.toString())) {
      this.#armed = undefined;
      link?.limit(armed.bytes, armed.onCut);
    }
    link?.requests.push(Buffer.from(data));
  }
}
