/** A server that speaks Redis' protocol and answers as a test says. */

/** An answer as it stands on the wire: a text is an error or a status with its sign before it, a list holds bulk texts. */
export type Answer = string | readonly string[];

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
const written = (answer: Answer): string =>
  typeof answer === "string" ? `${answer}\r\n` : `*${answer.length}\r\n${answer.map(bulk).join("")}`;

/** Commands that a text of the protocol holds; all of them are whole where the client writes each at once. */
function commandsOf(text: string): string[][] {
  const commands: string[][] = [];
  let rest = Buffer.from(text);
  const line = (): string => {
    const end = rest.indexOf("\r\n");
    const found = rest.toString("utf8", 0, end);
    rest = rest.subarray(end + 2);
    return found;
  };
  while (rest.length > 0) {
    const words: string[] = [];
    for (let left = Number(line().slice(1)); left > 0; left -= 1) {
      const length = Number(line().slice(1));
      words.push(rest.toString("utf8", 0, length));
      rest = rest.subarray(length + 2);
    }
    commands.push(words);
  }
  return commands;
}

export class FakeRedis implements Disposable {
  /** Every command that came, its name in capitals. */
  readonly commands: string[][] = [];
  connections = 0;
  readonly #listener: Bun.TCPSocketListener<{ text: string }>;
  readonly #looks = new Set<() => void>();

  /** @param answer undefined: none, ever */
  constructor(answer: (command: readonly string[]) => Answer | undefined) {
    this.#listener = Bun.listen<{ text: string }>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: () => {
          this.connections += 1;
          this.#look();
        },
        data: (socket, data) => {
          for (const [name = "", ...args] of commandsOf(data.toString())) {
            const command = [name.toUpperCase(), ...args];
            this.commands.push(command);
            const said = answer(command);
            if (said !== undefined) socket.write(written(said));
          }
          this.#look();
        },
      },
    });
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#listener.port}`;
  }

  /** Resolves once this holds, which is looked at whenever something comes. */
  async until(done: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (done()) resolve();
    };
    this.#looks.add(look);
    look();
    await promise;
    this.#looks.delete(look);
  }

  [Symbol.dispose](): void {
    this.#listener.stop(true);
  }

  #look(): void {
    for (const look of this.#looks) look();
  }
}
