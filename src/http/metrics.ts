/** Figures are read where they are kept, and only when somebody asks: no metric costs anything on a task's way. */
export interface MetricSources {
  readonly version: string;
  readonly running: () => number;
  /** Undefined: a process that only runs tasks. */
  readonly service?: ServiceMetrics;
}

interface ServiceMetrics {
  readonly accepted: () => number;
  readonly ended: () => ReadonlyMap<string, number>;
  readonly pending: () => number;
  readonly inProgress: () => number;
  readonly inBroker: () => number;
  readonly waiting: () => number;
  readonly sockets: () => number;
}

/** Prometheus text. The library is loaded at the first call: a server that nobody scrapes never needs it. */
export function metricsText(sources: MetricSources): () => Promise<{ text: string; contentType: string }> {
  let registry: Promise<{ metrics(): Promise<string>; readonly contentType: string }> | undefined;
  return async () => {
    registry ??= build(sources);
    const ready = await registry;
    return { text: await ready.metrics(), contentType: ready.contentType };
  };
}

async function build(sources: MetricSources) {
  const { Counter, Gauge, Registry } = await import("prom-client");
  const registry = new Registry();
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  new Gauge({ name: "artel_info", help: "The version that runs", labelNames: ["version"], registers: [registry] }).set(
    { version: sources.version },
    1,
  );
  const total = (name: string, help: string, read: () => number): void => {
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  };
  gauge("artel_jobs_running", "Jobs that this process's workers hold", sources.running);
  const { service } = sources;
  if (service) {
    total("artel_tasks_accepted_total", "Tasks accepted since the start", service.accepted);
    new Counter({
      name: "artel_tasks_ended_total",
      help: "Tasks that ended since the start, by status",
      labelNames: ["status"],
      registers: [registry],
      collect() {
        this.reset();
        for (const [status, count] of service.ended()) this.inc({ status }, Math.max(0, count));
      },
    });
    gauge("artel_tasks_pending", "Tasks that have not ended", service.pending);
    gauge("artel_tasks_in_progress", "Tasks that a worker has taken up", service.inProgress);
    gauge("artel_tasks_in_broker", "Queued tasks that the broker holds", service.inBroker);
    gauge("artel_tasks_waiting", "Queued tasks outside the broker's window", service.waiting);
    gauge("artel_sockets", "Open WebSockets", service.sockets);
  }
  // The library's own process metrics lean on what Bun does not measure, and then write "Nan", which is no number.
  gauge("process_resident_memory_bytes", "Resident memory", () => process.memoryUsage.rss());
  gauge("process_start_time_seconds", "When the process started, seconds since 1970 UTC", () => performance.timeOrigin / 1_000);
  total("process_cpu_seconds_total", "Processor time used so far, user and system", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  return registry;
}
