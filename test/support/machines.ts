/** Other machines: network namespaces, each joined to this one by a cable of its own (a veth pair) and to nothing else. */
import { readdirSync } from "node:fs";

const ip = Bun.which("ip") ?? ["/usr/sbin/ip", "/sbin/ip"].find((path) => Bun.which(path) !== null);
/** Names of namespaces and interfaces: this, the pid of the test's process, a number. */
const PREFIX = "artel";
/** Its subnets of four addresses are tried until one is free. */
const SUBNETS = "10.231";
/** Machines made by this process. */
let count = 0;

/** Runs `ip`. @throws with what it says */
function run(...args: readonly string[]): string {
  if (ip === undefined) throw new Error("there is no ip command");
  const { exitCode, stdout, stderr } = Bun.spawnSync([ip, ...args]);
  if (exitCode !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr.toString().trim()}`);
  return stdout.toString();
}

/** One machine; a disposed one has left neither namespace nor cable. */
export class Machine implements Disposable {
  /** What stands before a command that is to run there. */
  readonly command: readonly string[];
  /** This machine's address on the cable. */
  readonly here: string;
  /** The other one's. */
  readonly there: string;
  readonly #name: string;

  private constructor(name: string, subnet: string) {
    this.#name = name;
    this.here = `${subnet}.1`;
    this.there = `${subnet}.2`;
    this.command = [String(ip), "netns", "exec", name];
  }

  /** @throws where this system has no such thing, or does not allow it */
  static make(): Machine {
    count += 1;
    const name = `${PREFIX}-${process.pid}-${count}`;
    const machine = new Machine(name, freeSubnet());
    try {
      run("netns", "add", name);
      run("link", "add", machine.#cable, "type", "veth", "peer", "name", "cable", "netns", name);
      run("addr", "add", `${machine.here}/30`, "dev", machine.#cable);
      run("link", "set", machine.#cable, "up");
      run("-n", name, "addr", "add", `${machine.there}/30`, "dev", "cable");
      run("-n", name, "link", "set", "cable", "up");
      run("-n", name, "link", "set", "lo", "up");
      machine.#check();
      return machine;
    } catch (error) {
      machine[Symbol.dispose]();
      throw error;
    }
  }

  /** From now on nothing comes through, and neither side is told. */
  unplug(): void {
    run("link", "set", this.#cable, "down");
  }

  plug(): void {
    run("link", "set", this.#cable, "up");
  }

  [Symbol.dispose](): void {
    remove(this.#name);
  }

  get #cable(): string {
    return cableOf(this.#name);
  }

  /** A firewall on this machine may let nothing through. */
  #check(): void {
    using listener = Bun.listen({ hostname: this.here, port: 0, socket: { data() {} } });
    const connect = `await Bun.connect({ hostname: "${this.here}", port: ${listener.port}, socket: { data() {} } }); process.exit(0)`;
    const { exitCode } = Bun.spawnSync([...this.command, process.execPath, "-e", connect], { timeout: 5_000 });
    if (exitCode !== 0) throw new Error(`${this.here} cannot be reached from ${this.#name}`);
  }
}

/** This end of a machine's cable; a name may have 15 characters. */
const cableOf = (name: string): string => name.replaceAll("-", "").slice(-15);

/** A namespace takes its end of the cable along, and that the other one; but the system takes its time for that. */
function remove(name: string): void {
  for (const args of [
    ["link", "del", cableOf(name)],
    ["netns", "del", name],
  ]) {
    try {
      run(...args);
    } catch {
      // It was never made, or somebody was quicker.
    }
  }
}

function freeSubnet(): string {
  const taken = run("-o", "-4", "addr", "show");
  for (let i = 0; i < 256; i += 1) {
    const subnet = `${SUBNETS}.${(process.pid + i) % 256}`;
    if (!taken.includes(`${subnet}.`)) return subnet;
  }
  throw new Error(`no subnet of ${SUBNETS}.0.0 is free`);
}

/** What tests have left that were killed. */
function removeLeftovers(): void {
  for (const [name = ""] of run("netns", "list").matchAll(new RegExp(`^${PREFIX}-\\d+-\\d+`, "gm"))) {
    const [, pid = ""] = name.split("-");
    if (!readdirSync("/proc").includes(pid)) remove(name);
  }
}

/** So many machines, or why this system has none. */
export function machines(wanted: number): { readonly all: readonly Machine[]; readonly why: string | undefined } & Disposable {
  using made = new DisposableStack();
  try {
    removeLeftovers();
    const all = Array.from({ length: wanted }, () => made.use(Machine.make()));
    const kept = made.move();
    return { all, why: undefined, [Symbol.dispose]: () => kept.dispose() };
  } catch (error) {
    return { all: [], why: error instanceof Error ? error.message : String(error), [Symbol.dispose]() {} };
  }
}
