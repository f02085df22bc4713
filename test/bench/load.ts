/**
 * A load generator over plain sockets, in a process of its own: `bun load.ts` reads one LoadPlan from its standard input
 * and prints one LoadResult. Every connection sends its next request when the last answer is complete.
 */
import { quantile } from "./bench.ts";

export interface LoadPlan {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  /** The whole request as it goes over the wire. */
  readonly request: string;
}

export interface LoadResult {
  readonly perSecond: number;
  /** From a request to its whole answer, in milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly errors: number;
}

/** For so long both sides warm up: at most, in seconds, and as a share of what is measured. */
const WARM_UP_SECONDS = 0.5;
const WARM_UP_SHARE = 0.5;

/** Runs a plan in a new process. @throws where an answer was no success */
export async function load(plan: LoadPlan): Promise<LoadResult> {
  const child = Bun.spawn([process.execPath, import.meta.path], {
    stdin: new Blob([JSON.stringify(plan)]),
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error("the load generator failed");
  const result = JSON.parse(text) as LoadResult;
  if (result.errors > 0) throw new Error(`${result.errors} answers were no success`);
  return result;
}

/** A request with a token, and with a body where it posts one. */
export function httpRequest(method: "GET" | "POST", path: string, token: string, body?: unknown): string {
  const text = body === undefined ? "" : JSON.stringify(body);
  const type = method === "GET" ? "" : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`;
  return `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n${type}\r\n${text}`;
}

/** The length of the first whole answer in `text`, or 0. */
function answerLength(text: string): number {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return 0;
  const length = /content-length: (\d+)/i.exec(text.slice(0, end + 2))?.[1];
  const total = end + 4 + Number(length ?? 0);
  return text.length >= total ? total : 0;
}

/** What has been answered since the last reset. */
class Tally {
  errors = 0;
  #times: number[] = [];

  add(ms: number, ok: boolean): void {
    this.#times.push(ms);
    if (!ok) this.errors += 1;
  }

  reset(): void {
    this.#times = [];
  }

  result(elapsedMs: number): LoadResult {
    const sorted = Float64Array.from(this.#times).sort();
    const at = (share: number): number => quantile(sorted as unknown as number[], share);
    return { perSecond: (sorted.length / elapsedMs) * 1_000, p50: at(0.5), p99: at(0.99), errors: this.errors };
  }
}

async function main(): Promise<void> {
  const plan = JSON.parse(await Bun.stdin.text()) as LoadPlan;
  const tally = new Tally();
  let running = true;
  const connect = () => {
    let pending = "";
    let sentAt = performance.now();
    return Bun.connect({
      hostname: "127.0.0.1",
      port: plan.port,
      socket: {
        data(socket, data) {
          pending += data.toString("latin1");
          const length = answerLength(pending);
          if (length === 0) return;
          const now = performance.now();
          tally.add(now - sentAt, pending.startsWith("HTTP/1.1 2"));
          pending = pending.slice(length);
          sentAt = now;
          if (running) socket.write(plan.request);
        },
      },
    });
  };
  const sockets = await Promise.all(Array.from({ length: plan.connections }, connect));
  for (const socket of sockets) socket.write(plan.request);
  await Bun.sleep(Math.min(WARM_UP_SECONDS, plan.seconds * WARM_UP_SHARE) * 1_000);
  tally.reset();
  const begun = performance.now();
  await Bun.sleep(plan.seconds * 1_000);
  const result = tally.result(performance.now() - begun);
  running = false;
  for (const socket of sockets) socket.end();
  console.log(JSON.stringify(result));
}

if (import.meta.main) await main();
