import { expect, test } from "bun:test";
import { serverOf } from "../../src/cli/client/connect.ts";
import { readCall, UsageError } from "../../src/config.ts";

const server = (address: string): string => serverOf(readCall("run", ["--server", address], ["server"], {}));

test.each([
  ["http://127.0.0.1:12000", "http://127.0.0.1:12000"],
  ["http://127.0.0.1:12000/", "http://127.0.0.1:12000"],
  ["https://Artel.example/", "https://artel.example"],
  ["http://[::1]:80", "http://[::1]"],
])("%s is %s", (address, expected) => {
  expect(server(address)).toBe(expected);
});

test.each([
  "",
  "localhost:12000",
  "ftp://h",
  "http://",
  "http://h/path",
  "http://h?q",
  "http://h#x",
  "http://u@h",
  "http://h:99999",
])("%j is no server's address", (address) => {
  expect(() => server(address)).toThrow(UsageError);
});

test.each([
  [["--limit"], "artel task: --limit needs a value; see artel help task"],
  [["--limit", "-1"], "artel task: --limit needs a value; one that begins with - is given as --limit=VALUE; see artel help task"],
  [["--limit=-1"], "--limit must be"],
  [["--json=yes"], "artel task: --json takes no value; see artel help task"],
  [["--limt", "1"], "artel task: Unknown option '--limt' (did you mean --limit?); see artel help task"],
  [["-l"], "artel task: Unknown option '-l'; see artel help task"],
])("%j is answered with what is wrong", (args, message) => {
  expect(() => readCall("task", args, ["limit", "json"], {})).toThrow(message);
});
