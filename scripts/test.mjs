/**
 * `npm test`: brings whatever is missing, then runs the whole check. The last line is `N passed, N failed`.
 * A check such as the linter counts as one test, and so does a test process that ends otherwise than its report says.
 */
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { prepare, ROOT, run, stopIfTold } from "./runtime.mjs";

const SUITE_LIMIT_MS = 30 * 60_000;

/** Programs that some tests need, and Debian's packages of them. */
const NEEDED = [
  { program: "redis-server", package: "redis-server", without: "tests against a real Redis" },
  { program: "chromium", package: "chromium", without: "tests in a browser" },
];

const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];

function count(name, { passed, failed, skipped = 0 }) {
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
  if (failed > 0) failures.push(`${name}: ${failed} failed`);
}

async function check(name, command, args, options) {
  console.log(`\n== ${name}`);
  const code = await run(command, args, { timeoutMs: SUITE_LIMIT_MS, ...options });
  stopIfTold();
  count(name, { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 });
}

const hasProgram = (program) => (process.env.PATH ?? "").split(delimiter).some((folder) => existsSync(join(folder, program)));

async function bringPrograms() {
  const isMissing = ({ program }) => !hasProgram(program);
  let missing = NEEDED.filter(isMissing);
  if (missing.length > 0 && process.getuid?.() === 0 && existsSync("/etc/debian_version")) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    await run("apt-get", ["update", "-qq"], { env });
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing.map((need) => need.package)], { env });
    stopIfTold();
    missing = NEEDED.filter(isMissing);
  }
  if (missing.length === 0) return;
  const names = missing.map(({ program }) => program).join(" and ");
  console.log(`${names} not found: left out are the ${missing.map(({ without }) => without).join(" and the ")}`);
  // Where nobody reads this line, a hole in the tests must not look like success.
  if (process.env.CI) count("programs that tests need", { passed: 0, failed: 1 });
}

/** Suites that start servers run on the embedded broker and, where there is a redis-server, on Redis. */
const ON_BOTH_BROKERS = new Set(["test/http", "test/examples", "test/e2e"]);

/** Suites that wait for the most part, for leases to run out and the like: one after the other beside all others, and told at the end. */
const BESIDE = new Set(["test/drivers", "test/fleet"]);

/** The test files, one process a folder: what crashes one takes the others not along. The slow ones come last. */
function suites() {
  const folder = join(ROOT, "test");
  const files = readdirSync(folder, { recursive: true })
    .map((file) => `test/${file.replaceAll("\\", "/")}`)
    .filter((file) => /\.test\.tsx?$/.test(file))
    .sort();
  const groups = groupBy(files, (file) => file.split("/").slice(0, -1).slice(0, 2).join("/"));
  const rank = (name) => ["test/e2e", "test/chaos"].indexOf(name);
  return [...groups].sort(([a], [b]) => rank(a) - rank(b));
}

const isBeside = ([folder]) => BESIDE.has(folder);

/** Map.groupBy, which Node 20 lacks. */
function groupBy(items, key) {
  const groups = new Map();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

async function suite(bun, folder, files, reports, broker, streams = {}) {
  const name = broker === "embedded" ? folder : `${folder} on ${broker}`;
  if (!streams.stdout) console.log(`\n== bun test ${name}`);
  const report = join(reports, `${name.replaceAll(/[/ ]/g, "-")}.xml`);
  const args = [
    "test",
    "--timeout=30000",
    "--reporter=junit",
    `--reporter-outfile=${report}`,
    ...files.map((file) => `./${file}`),
  ];
  const env = { ...process.env, ARTEL_TEST_BROKER: broker };
  const code = await run(bun, args, { env, timeoutMs: SUITE_LIMIT_MS, ...streams });
  stopIfTold();
  const counts = readReport(report);
  if (code !== 0 && counts.failed === 0) {
    console.log(`${name}: the test process ended with code ${code}`);
    counts.failed = 1;
  }
  count(name, counts);
}

/** Runs suites one after the other, and keeps what they print. @returns what they printed, once they have ended */
async function suitesBeside(bun, groups, reports) {
  const output = join(reports, "beside.log");
  const file = openSync(output, "w");
  for (const [folder, files] of groups) {
    writeSync(file, `\n== bun test ${folder}\n`);
    await suite(bun, folder, files, reports, "embedded", { stdout: file, stderr: file });
  }
  closeSync(file);
  return readFileSync(output, "utf8");
}

/** The totals of a JUnit report; none at all counts as a failure. */
function readReport(file) {
  const root = existsSync(file) ? /<testsuites\s[^>]*>/.exec(readFileSync(file, "utf8"))?.[0] : undefined;
  if (!root) return { passed: 0, failed: 1 };
  const number = (name) => Number(new RegExp(`\\s${name}="(\\d+)"`).exec(root)?.[1] ?? 0);
  const failed = number("failures") + number("errors");
  const skipped = number("skipped");
  return { passed: number("tests") - failed - skipped, failed, skipped };
}

const bun = await prepare();
await bringPrograms();
await check("types", bun, ["run", "types"]);
await check("lint", bun, ["run", "lint"]);
await check("build", bun, ["scripts/build.ts", "--if-stale"]);
const reports = mkdtempSync(join(tmpdir(), "artel-test-"));
try {
  const told = suitesBeside(bun, suites().filter(isBeside), reports);
  for (const [folder, files] of suites().filter((group) => !isBeside(group))) {
    await suite(bun, folder, files, reports, "embedded");
    if (ON_BOTH_BROKERS.has(folder) && hasProgram("redis-server")) await suite(bun, folder, files, reports, "redis");
  }
  console.log(await told);
} finally {
  rmSync(reports, { recursive: true, force: true });
}

console.log("");
for (const failure of failures) console.log(failure);
if (total.skipped > 0) console.log(`${total.skipped} skipped`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
