/** Addresses that answer when the test says so; tasks wait at them. */
export class Gates {
  readonly #server: ReturnType<typeof Bun.serve>;
  readonly #gates = new Map<string, { arrived: PromiseWithResolvers<void>; opened: PromiseWithResolvers<string> }>();
  #count = 0;

  constructor() {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: async (request) => {
        const gate = this.#gates.get(new URL(request.url).pathname);
        if (!gate) return new Response("no such gate", { status: 404 });
        gate.arrived.resolve();
        return new Response(await gate.opened.promise);
      },
    });
  }

  add(): { readonly url: string; readonly arrived: Promise<void>; open(text?: string): void } {
    this.#count += 1;
    const path = `/${this.#count}`;
    const gate = { arrived: Promise.withResolvers<void>(), opened: Promise.withResolvers<string>() };
    this.#gates.set(path, gate);
    return {
      url: `http://127.0.0.1:${this.#server.port}${path}`,
      arrived: gate.arrived.promise,
      open: (text = "open") => gate.opened.resolve(text),
    };
  }

  async stop(): Promise<void> {
    for (const { opened } of this.#gates.values()) opened.resolve("closed");
    await this.#server.stop(true);
  }
}
