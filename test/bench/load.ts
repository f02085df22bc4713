/**
 * A load generator over plain sockets, in a process of its own: `bun load.ts` reads one LoadPlan from its standard input
 * and prints one LoadResult. Every connection sends its next request when the last answer is complete.
 */
export interface LoadPlan {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  /** The whole request as it goes over the wire. */
  readonly request: string;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly errors: number;
}

/** Runs a plan in a new process. */
export async function load(plan: LoadPlan): Promise<LoadResult> {
  const child = Bun.spawn([process.execPath, import.meta.path], {
    stdin: new Blob([JSON.stringify(plan)]),
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error("the load generator failed");
  return JSON.parse(text) as LoadResult;
}

/** The length of the first whole answer in `text`, or 0. */
function answerLength(text: string): number {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return 0;
  const length = /content-length: (\d+)/i.exec(text.slice(0, end + 2))?.[1];
  const total = end + 4 + Number(length ?? 0);
  return text.length >= total ? total : 0;
}

async function main(): Promise<void> {
  const plan = JSON.parse(await Bun.stdin.text()) as LoadPlan;
  let count = 0;
  let errors = 0;
  let running = true;
  const sockets = await Promise.all(
    Array.from({ length: plan.connections }, () => {
      let pending = "";
      return Bun.connect({
        hostname: "127.0.0.1",
        port: plan.port,
        socket: {
          data(socket, data) {
            pending += data.toString("latin1");
            const length = answerLength(pending);
            if (length === 0) return;
            if (!pending.startsWith("HTTP/1.1 2")) errors += 1;
            pending = pending.slice(length);
            count += 1;
            if (running) socket.write(plan.request);
          },
        },
      });
    }),
  );
  for (const socket of sockets) socket.write(plan.request);
  // The first half second warms both sides up.
  await Bun.sleep(500);
  count = 0;
  const begun = performance.now();
  await Bun.sleep(plan.seconds * 1_000);
  const elapsedMs = performance.now() - begun;
  const total = count;
  running = false;
  for (const socket of sockets) socket.end();
  console.log(JSON.stringify({ perSecond: (total / elapsedMs) * 1_000, errors } satisfies LoadResult));
}

if (import.meta.main) await main();
