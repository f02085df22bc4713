/** Real redis-servers for tests: each with a directory and a port of its own, on the loopback only, gone with the test's process. */
import { afterAll, setDefaultTimeout } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { eventually, within } from "./waiting.ts";

/** The server's path; undefined where there is none, and tests that need it are left out. */
export const redisPath: string | undefined = Bun.which("redis-server") ?? undefined;

const HOST = "127.0.0.1";
/** Between the kernel's word that a port is free and the server's bind another process may take it. */
const PORT_TRIES = 5;

export interface RedisServerOptions {
  /** Further arguments of redis-server. */
  readonly args?: readonly string[];
  /** Listens with TLS only, under a certificate that `caFile` vouches for; clients need none. */
  readonly tls?: boolean;
  /** Listens on `socketPath` too. */
  readonly unixSocket?: boolean;
  readonly password?: string;
  /** Writes and syncs every change before it answers, so that even `kill` loses none. */
  readonly persist?: boolean;
}

interface Connection {
  readonly host: string;
  readonly port: number;
  readonly password?: string;
  readonly tls?: { readonly ca: string };
}

interface Ports {
  readonly port: number;
  /** Where the nodes of a cluster talk to each other. */
  readonly busPort: number;
}

/** What sets one kind of redis-server apart from the others. */
interface Kind {
  /** It prints this once it can be used. */
  readonly ready: RegExp;
  /** The arguments that come first. Called once for each choice of ports, so it may write files. */
  args(ports: Ports, directory: string): readonly string[];
}

const SERVER: Kind = { ready: /Ready to accept connections/, args: () => [] };

/** One redis-server. A disposed one has left neither process nor directory. */
export class RedisServer implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "artel-redis-"));
  readonly socketPath = join(this.directory, "redis.sock");
  /** The authority that has signed the server's certificate. */
  readonly caFile = join(this.directory, "ca.pem");
  readonly #options: RedisServerOptions;
  readonly #kind: Kind;
  #ports: Ports = { port: 0, busPort: 0 };
  #args: readonly string[] = [];
  #life: Life | undefined;
  #paused = false;

  private constructor(options: RedisServerOptions, kind: Kind) {
    this.#options = options;
    this.#kind = kind;
  }

  static async start(options: RedisServerOptions = {}, kind = SERVER): Promise<RedisServer> {
    const server = new RedisServer(options, kind);
    try {
      await server.#begin();
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  /** Stands in, without any process, where the program is missing. */
  static absent(): RedisServer {
    return new RedisServer({}, SERVER);
  }

  get port(): number {
    return this.#ports.port;
  }

  get busPort(): number {
    return this.#ports.busPort;
  }

  /** With the password, if there is one; a client finds what it needs for TLS in `caFile`. */
  get url(): string {
    const { tls, password } = this.#options;
    const user = password === undefined ? "" : `:${encodeURIComponent(password)}@`;
    return `redis${tls ? "s" : ""}://${user}${HOST}:${this.port}`;
  }

  /** The same as `url`, for ioredis, with what it needs for TLS. */
  get connection(): Connection {
    const { tls, password } = this.#options;
    return { host: HOST, port: this.port, ...(password === undefined ? {} : { password }), ...(tls ? { tls: { ca: CA } } : {}) };
  }

  /** Of its present process, or of its last one. */
  get pid(): number {
    return this.#living().pid;
  }

  /** Neither ended nor paused. */
  get running(): boolean {
    return this.#life?.running === true && !this.#paused;
  }

  /** Waits until its present process has printed something like this. */
  async says(pattern: RegExp): Promise<void> {
    await this.#living().says(pattern);
  }

  /** Sends one command on a connection of its own. Rejects where the server is out of reach. */
  async command(name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const client = new Redis({ ...this.connection, lazyConnect: true, retryStrategy: null });
    // Of a connection that fails, `connect` says no more than that it is closed; the event has the reason.
    const { promise: failed, reject } = Promise.withResolvers<never>();
    client.on("error", reject);
    try {
      return await Promise.race([failed, client.connect().then(() => client.call(name, [...args]))]);
    } finally {
      client.disconnect();
    }
  }

  /** The connections that Artel's processes have to it: name and id. */
  async clients(): Promise<{ name: string; id: string }[]> {
    const list = String(await this.command("CLIENT", "LIST"));
    return [...list.matchAll(/^id=(\d+) .* name=(artel\S*) /gm)].map(([, id = "", name = ""]) => ({ name, id }));
  }

  /** Waits until there are so many of them, by name, and no others. */
  async hasClients(counts: Readonly<Record<string, number>>): Promise<void> {
    let seen: Record<string, number> = {};
    const fits = async (): Promise<true | undefined> => {
      seen = Object.fromEntries(
        [...Map.groupBy(await this.clients(), ({ name }) => name)].map(([name, all]) => [name, all.length]),
      );
      return Bun.deepEquals(seen, counts) || undefined;
    };
    await eventually(fits, "as many connections as there should be").catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(seen)} in place of ${JSON.stringify(counts)}`);
    });
  }

  /** Ends it in the middle of whatever it does; resolves once it is gone. */
  async kill(): Promise<void> {
    await this.#life?.kill();
    this.#paused = false;
  }

  /** Begins again, on the same port and in the same directory; what still runs is killed. Resolves once it can be used. */
  async restart(): Promise<void> {
    await this.kill();
    await this.#live();
  }

  /** From now on it answers nothing, and the system still takes connections for it. */
  pause(): void {
    this.#living().signal("SIGSTOP");
    this.#paused = true;
  }

  resume(): void {
    this.#living().signal("SIGCONT");
    this.#paused = false;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #begin(): Promise<void> {
    if (this.#options.tls) writeFileSync(this.caFile, CA);
    for (let tries = 1; ; tries += 1) {
      this.#ports = freePorts();
      this.#args = [...this.#kind.args(this.#ports, this.directory), ...this.#commonArgs(), ...(this.#options.args ?? [])];
      try {
        return await this.#live();
      } catch (error) {
        if (tries === PORT_TRIES || !this.#life?.output.includes("Address already in use")) throw error;
      }
    }
  }

  async #live(): Promise<void> {
    if (redisPath === undefined) throw new Error("redis-server not found");
    this.#life = new Life([redisPath, ...this.#args], this.directory);
    await this.#life.says(this.#kind.ready);
  }

  #commonArgs(): string[] {
    const { password, persist, tls, unixSocket } = this.#options;
    const durable = persist ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"];
    return [
      ...["--bind", HOST, "--dir", this.directory, "--daemonize", "no", "--save", "", ...durable],
      ...(tls ? tlsArgs(this.port, this.directory) : ["--port", `${this.port}`]),
      ...(unixSocket ? ["--unixsocket", this.socketPath] : []),
      ...(password === undefined ? [] : ["--requirepass", password]),
    ];
  }

  #living(): Life {
    if (!this.#life) throw new Error("this redis-server was never started");
    return this.#life;
  }
}

/** A server for all tests of a file, ended after them: `await` it at the file's top, and skip the tests without `redisPath`. */
export async function sharedRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  setDefaultTimeout(30_000);
  const server = redisPath === undefined ? RedisServer.absent() : await RedisServer.start(options);
  afterAll(() => server.stop());
  return server;
}

const NODES = 3;
const SLOTS = 16_384;

const CLUSTER_NODE: Kind = {
  ...SERVER,
  args: ({ busPort }) => [
    ...["--cluster-enabled", "yes", "--cluster-port", `${busPort}`, "--cluster-announce-ip", HOST],
    ...["--cluster-node-timeout", "5000"],
  ],
};

/** Three masters that share the slots, in order and evenly. It takes two seconds: so long a new master keeps its clients out. */
export class RedisCluster implements AsyncDisposable {
  readonly nodes: readonly RedisServer[];
  readonly #resources: AsyncDisposableStack;

  private constructor(nodes: readonly RedisServer[], resources: AsyncDisposableStack) {
    this.nodes = nodes;
    this.#resources = resources;
  }

  /** @param options of every node */
  static async start(options: RedisServerOptions = {}): Promise<RedisCluster> {
    await using starting = new AsyncDisposableStack();
    const nodes: RedisServer[] = [];
    while (nodes.length < NODES) nodes.push(starting.use(await RedisServer.start(options, CLUSTER_NODE)));
    await Promise.all(nodes.map(giveSlots));
    for (const { port, busPort } of nodes.slice(1)) await nodes[0]?.command("CLUSTER", "MEET", HOST, port, busPort);
    await Promise.all(nodes.map((node) => node.says(/Cluster state changed: ok/)));
    return new RedisCluster(nodes, starting.move());
  }

  get url(): string {
    return `redis+cluster://${addresses(this.nodes)}`;
  }

  async stop(): Promise<void> {
    await this.#resources.disposeAsync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** A node's part of the slots, and an epoch of its own, which otherwise the nodes would have to settle among them. */
async function giveSlots(node: RedisServer, index: number): Promise<void> {
  const first = (of: number): number => Math.ceil((of * SLOTS) / NODES);
  await node.command("CLUSTER", "SET-CONFIG-EPOCH", index + 1);
  await node.command("CLUSTER", "ADDSLOTSRANGE", first(index), first(index + 1) - 1);
}

const MASTER_NAME = "mymaster";
const SENTINELS = 3;

/** A Sentinel that knows the master; the others and the replica it finds by itself. */
const sentinelOf = (master: RedisServer): Kind => ({
  ready: /\+monitor master/,
  args: (_, directory) => {
    // It writes into this file what it learns, and reads that when it begins again.
    const file = join(directory, "sentinel.conf");
    writeFileSync(
      file,
      `sentinel monitor ${MASTER_NAME} ${HOST} ${master.port} 2
sentinel down-after-milliseconds ${MASTER_NAME} 500
sentinel failover-timeout ${MASTER_NAME} 2000
`,
    );
    return [file, "--sentinel"];
  },
});

/** A master with a replica, and three Sentinels of which two must agree to make the replica master. */
export class RedisSentinels implements AsyncDisposable {
  /** Who was master at the start. */
  readonly master: RedisServer;
  readonly replica: RedisServer;
  /** One that is restarted has forgotten `PERIODS`. */
  readonly sentinels: readonly RedisServer[];
  readonly #resources: AsyncDisposableStack;

  private constructor(
    [master, replica]: readonly [RedisServer, RedisServer],
    sentinels: readonly RedisServer[],
    resources: AsyncDisposableStack,
  ) {
    this.master = master;
    this.replica = replica;
    this.sentinels = sentinels;
    this.#resources = resources;
  }

  static async start(): Promise<RedisSentinels> {
    await using starting = new AsyncDisposableStack();
    // By itself a master waits five seconds for more replicas before it sends its data.
    const atOnce = ["--repl-diskless-sync-delay", "0"];
    const master = starting.use(await RedisServer.start({ args: atOnce }));
    const replicaOf = ["--replicaof", HOST, `${master.port}`];
    const replica = starting.use(await RedisServer.start({ args: [...atOnce, ...replicaOf] }));
    await replica.says(/MASTER <-> REPLICA sync: Finished with success/);
    const sentinels: RedisServer[] = [];
    while (sentinels.length < SENTINELS) sentinels.push(starting.use(await RedisServer.start({}, sentinelOf(master))));
    await Promise.all(sentinels.map((sentinel) => acquainted(sentinel, sentinels, replica)));
    return new RedisSentinels([master, replica], sentinels, starting.move());
  }

  get url(): string {
    return `redis+sentinel://${addresses(this.sentinels)}/${MASTER_NAME}`;
  }

  /** Waits until every running Sentinel says that this server is the master now. */
  async failedOver(to = this.replica): Promise<void> {
    const switched = new RegExp(`\\+switch-master ${MASTER_NAME} \\S+ \\d+ ${HOST} ${to.port}\\n(?![^]*\\+switch-master)`);
    await Promise.all(this.sentinels.filter(({ running }) => running).map((sentinel) => sentinel.says(switched)));
  }

  async stop(): Promise<void> {
    await this.#resources.disposeAsync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/**
 * In milliseconds. By itself a Sentinel asks a new master for life no sooner than it takes it for dead when that takes half a
 * second; it speaks of itself every two seconds, looks at replicas every ten, and does nothing for 30 when it was held up. For
 * five times the first period what it knows of a replica is good enough to choose it, and then it looks every second: so no less.
 */
const PERIODS = ["PING-PERIOD", 250, "PUBLISH-PERIOD", 100, "INFO-PERIOD", 300, "TILT-PERIOD", 1_000];

/** Makes a Sentinel quick, and waits until it knows everybody. */
async function acquainted(sentinel: RedisServer, all: readonly RedisServer[], replica: RedisServer): Promise<void> {
  await sentinel.command("SENTINEL", "DEBUG", ...PERIODS);
  const others = all.filter((each) => each !== sentinel);
  await Promise.all([
    sentinel.says(new RegExp(`\\+slave slave \\S+ ${HOST} ${replica.port} `)),
    ...others.map(({ port }) => sentinel.says(new RegExp(`\\+sentinel sentinel \\S+ ${HOST} ${port} `))),
  ]);
}

const addresses = (servers: readonly RedisServer[]): string => servers.map(({ port }) => `${HOST}:${port}`).join(",");

/** Ports that nobody listens on; held at the same time, so they differ. */
function freePorts(): Ports {
  const hold = () => Bun.listen({ hostname: HOST, port: 0, socket: { data: () => {} } });
  const [one, other] = [hold(), hold()];
  const ports = { port: one.port, busPort: other.port };
  for (const held of [one, other]) held.stop(true);
  return ports;
}

/**
 * Becomes the program that follows, and leaves a guard beside it that reads from the test's process until that closes the pipe
 * or dies, whatever it dies of, and then kills the program, and removes `$0`, its directory, if there was still one to kill.
 * Signals to the whole group, such as Ctrl-C, do not drive the guard away, for a paused program would outlive them.
 */
const GUARDED = `
exec 3<&0 2>&1
(trap '' HUP INT TERM; read -r line <&3; kill -KILL $$ && rm -rf "$0") >/dev/null 2>&1 &
exec "$@" 3<&- </dev/null
`;

/** One life of a redis-server: what it prints, and its end. */
class Life {
  readonly pid: number;
  output = "";
  running = true;
  readonly #child: Bun.Subprocess<"pipe", "pipe", "ignore">;
  readonly #gone: Promise<void>;
  readonly #looks = new Set<() => void>();

  constructor(command: readonly string[], directory: string) {
    const guarded = ["sh", "-c", GUARDED, directory, ...command];
    this.#child = Bun.spawn(guarded, { cwd: directory, stdin: "pipe", stdout: "pipe", stderr: "ignore" });
    this.pid = this.#child.pid;
    this.#gone = this.#watch();
  }

  /** Fails when it ends without having said such a thing. */
  async says(pattern: RegExp): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => {
      if (pattern.test(this.output)) resolve();
      else if (!this.running) reject(new Error(`redis-server ended without ${pattern}: ${this.#tail()}`));
    };
    this.#looks.add(look);
    look();
    await within(promise, `${pattern} of redis-server`, () => this.#tail()).finally(() => this.#looks.delete(look));
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await within(this.#gone, "the end after SIGKILL");
  }

  async #watch(): Promise<void> {
    await Promise.all([this.#read(), this.#dismissGuard()]);
    this.running = false;
    this.#look();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) {
      this.output += decoder.decode(chunk, { stream: true });
      this.#look();
    }
  }

  /** At once, while no other process has been given the same pid. */
  async #dismissGuard(): Promise<void> {
    await this.#child.exited;
    await this.#child.stdin.end();
  }

  #look(): void {
    for (const look of this.#looks) look();
  }

  #tail(): string {
    return this.output.slice(-2_000);
  }
}

function tlsArgs(port: number, directory: string): string[] {
  const [certificate, key] = [join(directory, "server.pem"), join(directory, "server.key")];
  writeFileSync(certificate, CERTIFICATE);
  writeFileSync(key, KEY);
  const files = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", join(directory, "ca.pem")];
  return ["--port", "0", "--tls-port", `${port}`, "--tls-auth-clients", "no", ...files];
}

/** An authority made for these tests, trusted by nobody else; its key is gone. Valid 2020 to 2120, as is the certificate. */
const CA = `-----BEGIN CERTIFICATE-----
MIIBcTCCARegAwIBAgIBATAKBggqhkjOPQQDAjAfMR0wGwYDVQQDDBRhcnRlbCB0
ZXN0IGF1dGhvcml0eTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFow
HzEdMBsGA1UEAwwUYXJ0ZWwgdGVzdCBhdXRob3JpdHkwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAATnl3ZK4fJlHTOlt5NMI1zWhRqoGnhngHSHpIpOzcj/bkCf7JUz
umA5DFYfRXlkiuLH5VsAP9MyF8E0/pOqXTvzo0IwQDAPBgNVHRMBAf8EBTADAQH/
MA4GA1UdDwEB/wQEAwICBDAdBgNVHQ4EFgQUz7DtOZyTdtN0jc2aXOpHybLj+jAw
CgYIKoZIzj0EAwIDSAAwRQIhAKyC0HNi7gjiLPO1LIkB4baZqHK6TW2Ocs+QqmB2
bs8dAiAweRaztDaZN5DjJXVS02L4FF2nQa6/ANlVu54UfpnW7w==
-----END CERTIFICATE-----
`;

/** For 127.0.0.1 and localhost. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBwDCCAWWgAwIBAgIBAjAKBggqhkjOPQQDAjAfMR0wGwYDVQQDDBRhcnRlbCB0
ZXN0IGF1dGhvcml0eTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFow
HDEaMBgGA1UEAwwRYXJ0ZWwgdGVzdCBzZXJ2ZXIwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATn5k5KhZsn+UD2ON32XIq0dGcevO1CyCyvYjceywHkXiLoy1c4PAsI
zhlgpfjgekrv/YMfu3M1kxAfgOuaY3vDo4GSMIGPMAwGA1UdEwEB/wQCMAAwDgYD
VR0PAQH/BAQDAgeAMBMGA1UdJQQMMAoGCCsGAQUFBwMBMBoGA1UdEQQTMBGHBH8A
AAGCCWxvY2FsaG9zdDAfBgNVHSMEGDAWgBTPsO05nJN203SNzZpc6kfJsuP6MDAd
BgNVHQ4EFgQUYOY53mn8hp9AjjAic9nQWi2oFl4wCgYIKoZIzj0EAwIDSQAwRgIh
AJlGNsE6vwRdyIHpe/AXl/Db2hv9bR8izhTsAld5MDJgAiEA30rgc51GM8TSQ+bh
XbZHxM973ktPCBgkFCYfX/g/xjk=
-----END CERTIFICATE-----
`;

const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgByGNdksq703s6gdc
FG6DTUnzMGVD9cJNEO/mSLehRLOhRANCAATn5k5KhZsn+UD2ON32XIq0dGcevO1C
yCyvYjceywHkXiLoy1c4PAsIzhlgpfjgekrv/YMfu3M1kxAfgOuaY3vD
-----END PRIVATE KEY-----
`;
