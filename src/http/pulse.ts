import { Elysia } from "elysia";
import { type Checks, healthRoutes } from "./health.ts";
import { type Address, listen, urlOf } from "./listen.ts";
import { metricsText } from "./metrics.ts";

interface Deps {
  readonly version: string;
  readonly checks: () => Checks;
  /** Jobs in this process's hands. */
  readonly running: () => number;
}

/** What a process without an API shows of itself: /health and /metrics. Throws StartupError as `listen` does. */
export async function servePulse(
  address: Address,
  { version, checks, running }: Deps,
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const app = new Elysia({ normalize: false }).use(healthRoutes({ checks, metrics: metricsText({ version, running }) }));
  const server = await listen(app, address);
  return { url: urlOf(address.host, server), stop: () => server.stop(true) };
}
