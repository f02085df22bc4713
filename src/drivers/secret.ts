import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { StartupError } from "../domain/errors.ts";
import { systemRandom } from "./system.ts";

const MIN_CHARACTERS = 16;
const BYTES = 32;

/**
 * The secret that signs access tokens: the environment's, else the one kept in the data directory, which is made at
 * the first start (mode 0600). Another secret ends every access token that was given out.
 *
 * @param fromEnv ARTEL_SECRET; empty counts as not set
 * @throws StartupError `secret_too_short`, `secret_damaged`, `secret_unreadable`
 */
export function loadSecret(dataDir: string, fromEnv?: string): string {
  const given = givenSecret(fromEnv);
  if (given !== undefined) return given;
  const path = pathOf(dataDir);
  try {
    return readSecret(path) ?? makeSecret(dataDir, path);
  } catch (cause) {
    if (cause instanceof StartupError) throw cause;
    throw new StartupError(
      "secret_unreadable",
      `cannot read or write ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

const pathOf = (dataDir: string): string => join(dataDir, "secret");

/** Whether one is kept in the data directory. */
export const hasSecret = (dataDir: string): boolean => existsSync(pathOf(dataDir));

/**
 * The environment's secret, if there is one.
 *
 * @throws StartupError `secret_too_short`
 */
export function givenSecret(fromEnv: string | undefined): string | undefined {
  if (fromEnv === undefined || fromEnv === "") return undefined;
  if (fromEnv.length >= MIN_CHARACTERS) return fromEnv;
  throw new StartupError(
    "secret_too_short",
    `ARTEL_SECRET has ${fromEnv.length} characters: give it at least ${MIN_CHARACTERS} random ones`,
  );
}

function readSecret(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
  if (text.length < MIN_CHARACTERS) {
    throw new StartupError(
      "secret_damaged",
      `${path} holds no secret: put the old one back, or delete the file (everybody then logs in again)`,
    );
  }
  // Copied or restored with other rights: others on the machine must not read it.
  if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
  return text;
}

/** Written aside and linked into place: the link fails when another process was faster, and nobody ever sees half a file. */
function makeSecret(dataDir: string, path: string): string {
  mkdirSync(dataDir, { recursive: true });
  const aside = `${path}.${systemRandom.token(8)}`;
  const text = `${systemRandom.token(BYTES)}\n`;
  try {
    writeNew(aside, text);
    linkOrWrite(aside, path, text);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  } finally {
    rmSync(aside, { force: true });
  }
  const secret = readSecret(path);
  if (secret === undefined) throw new StartupError("secret_unreadable", `${path} vanished while it was made`);
  return secret;
}

/** Shared folders of virtual machines and the like know no hard links. */
function linkOrWrite(aside: string, path: string, text: string): void {
  try {
    linkSync(aside, path);
  } catch (error) {
    if (codeOf(error) === "EEXIST") throw error;
    writeNew(path, text);
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function writeNew(path: string, text: string): void {
  const file = openSync(path, "wx", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
