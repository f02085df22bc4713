/**
 * The direction of imports: domain <- ports <- services, workers <- http, cli; drivers know ports and domain only;
 * compose.ts puts everything together. test/architecture.test.ts holds it.
 */
const within = (...folders) => `^src/(${folders.join("|")})(/|\\.ts$)`;
const only = (name, comment, from, ...to) => ({
  name,
  comment,
  severity: "error",
  from: { path: from },
  to: { path: "^src/", pathNot: within(...to) },
});
const never = (name, comment, from, to) => ({ name, comment, severity: "error", from, to });

/** The files that put things together. */
const COMPOSE = "compose[-a-z]*";

/** Packages and modules that reach outside of the process. */
const IO = "^bun(:|$)|(^|/)node_modules/(ioredis|elysia|@elysiajs|drizzle-orm|pino|prom-client|rate-limiter-flexible)/";
const STORES = "^bun:sqlite$|(^|/)node_modules/(ioredis|drizzle-orm)/";

module.exports = {
  forbidden: [
    never("no-cycles", "Two files that need each other are one file, or lack a third.", {}, { circular: true }),
    never("no-unresolved", "Every import leads somewhere.", { path: "^src/" }, { couldNotResolve: true, pathNot: "^bun(:|$)" }),
    never(
      "no-dev-packages",
      "What the executable holds stands under dependencies.",
      { path: "^src/" },
      { dependencyTypes: ["npm-dev"] },
    ),

    only("domain-alone", "The domain knows itself only.", within("domain"), "domain"),
    never("domain-without-io", "The domain does no I/O.", { path: within("domain") }, { dependencyTypes: ["core"] }),
    never("domain-without-io-packages", "The domain and the ports do no I/O.", { path: within("domain", "ports") }, { path: IO }),
    only("ports-on-domain", "Ports speak of the domain.", within("ports"), "domain", "ports"),
    only("services-on-ports", "Services reach the world through ports.", within("services"), "domain", "ports", "services"),
    never(
      "services-without-stores",
      "Services reach the world through ports.",
      { path: within("services", "http") },
      { path: STORES },
    ),
    only("tasks-on-domain", "Task files see the task library and nothing of the service.", within("tasks"), "domain", "tasks"),
    // A thread is a process in small: its entry puts together what it runs, as compose.ts does for the main thread.
    only(
      "workers-on-ports",
      "Workers reach the world through ports.",
      "^src/workers/(?!thread\\.ts$)",
      "domain",
      "ports",
      "tasks",
      "workers",
    ),
    only(
      "thread-composes",
      "The thread's entry chooses a driver, and knows no service.",
      "^src/workers/thread\\.ts$",
      "domain",
      "ports",
      "tasks",
      "workers",
      "drivers",
    ),
    only("drivers-on-ports", "Drivers fulfil ports.", within("drivers"), "domain", "ports", "drivers"),
    never(
      "drivers-apart",
      "No driver knows another.",
      { path: "^src/drivers/([^/]+)/" },
      { path: "^src/drivers/([^/]+)/", pathNot: "^src/drivers/$1/" },
    ),
    only("http-on-services", "HTTP calls services.", within("http"), "domain", "ports", "services", "workers", "http"),
    only(
      "cli-on-top",
      "Commands stand on top.",
      within("cli"),
      "domain",
      "ports",
      "services",
      "workers",
      "http",
      "tasks",
      "drivers",
      COMPOSE,
      "config",
      "cli",
    ),
    only("config-on-domain", "Reading the configuration needs nothing else.", "^src/config\\.ts$", "domain", "config"),
    never("main-is-last", "Nothing imports the program.", {}, { path: "^src/main\\.ts$" }),
    never(
      "compose-knows-no-command",
      "Commands call compose.ts, never the other way.",
      { path: within(COMPOSE) },
      { path: within("cli") },
    ),
  ],
  // TypeScript is read through TypeScript 6, the last one whose API dependency-cruiser knows: that is why it stands in
  // package.json beside typescript-7, which checks the types.
  options: {
    // Type-only imports count: a type that points the wrong way is a dependency too.
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: {
      extensions: [".ts", ".js", ".json"],
      exportsFields: ["exports"],
      conditionNames: ["bun", "import", "default"],
    },
  },
};
