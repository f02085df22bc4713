import { type Figure, quantile, type Scenario } from "../bench.ts";
import { type BenchUser, INPUT } from "../server.ts";

const TASKS = 500;

export const latency: Scenario = {
  about: "POST to `done` heard on the socket, one task at a time, on an idle server with 2 threads",
  async run(bench) {
    const figures: Figure[] = [];
    for (const broker of bench.brokers) {
      await using artel = await bench.artel(["--threads", "2"], { broker });
      const count = bench.count(TASKS, 20);
      await times(artel.url, artel.user, Math.ceil(count / 2));
      const sorted = await times(artel.url, artel.user, count);
      const name = `POST to done heard, ${broker}`;
      figures.push({ name: `${name}, p50`, value: quantile(sorted, 0.5), unit: " ms" });
      figures.push({ name: `${name}, p99`, value: quantile(sorted, 0.99), unit: " ms" });
    }
    return figures;
  },
};

/** From the call to the end heard, one after the other, in milliseconds, sorted. */
export async function times(url: string, user: BenchUser, count: number): Promise<number[]> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws/notifications`, {
    headers: { authorization: `Bearer ${user.token}` },
  } as unknown as string[]);
  let heard: ((at: number) => void) | undefined;
  socket.onmessage = ({ data }) => {
    if (String(data).includes('"status":"done"')) heard?.(performance.now());
  };
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  const found: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const { promise, resolve } = Promise.withResolvers<number>();
    heard = resolve;
    const begun = performance.now();
    const response = await user.post("/tasks/noop", INPUT);
    if (response.status !== 202) throw new Error(`POST /tasks/noop: ${response.status}`);
    await response.arrayBuffer();
    found.push((await promise) - begun);
  }
  socket.terminate();
  return found.sort((a, b) => a - b);
}
