import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StartupError } from "../../src/domain/errors.ts";
import { loadSecret } from "../../src/drivers/secret.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "artel-secret-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function refusal(...args: Parameters<typeof loadSecret>): unknown {
  try {
    return loadSecret(...args);
  } catch (error) {
    return error instanceof StartupError ? error.code : error;
  }
}

describe("the signing secret", () => {
  test("is made once, in a data directory that may not be there yet, for the owner's eyes only", () => {
    const data = join(folder, "new", "data");
    const secret = loadSecret(data);
    expect(Buffer.from(secret, "base64url")).toHaveLength(32);
    expect(loadSecret(data)).toBe(secret);
    expect(loadSecret(data, "")).toBe(secret);
    expect(statSync(join(data, "secret")).mode & 0o777).toBe(0o600);
    expect(readdirSync(data)).toEqual(["secret"]);
    expect(loadSecret(join(folder, "other"))).not.toBe(secret);
  });

  test("of the environment goes first, and leaves no file", () => {
    const given = "x".repeat(32);
    expect(loadSecret(folder, given)).toBe(given);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("that is too short is refused", () => {
    expect(refusal(folder, "x".repeat(15))).toBe("secret_too_short");
    writeFileSync(join(folder, "secret"), "short\n");
    expect(refusal(folder)).toBe("secret_damaged");
    expect(readFileSync(join(folder, "secret"), "utf8")).toBe("short\n");
  });

  test("that others can read is closed to them", () => {
    const secret = loadSecret(folder);
    chmodSync(join(folder, "secret"), 0o644);
    expect(loadSecret(folder)).toBe(secret);
    expect(statSync(join(folder, "secret")).mode & 0o777).toBe(0o600);
  });

  test("that cannot be kept is told in one line", () => {
    writeFileSync(join(folder, "file"), "");
    expect(refusal(join(folder, "file"))).toBe("secret_unreadable");
  });

  test("is the same for processes that start at the same time", async () => {
    const script = `import { loadSecret } from ${JSON.stringify(join(import.meta.dir, "../../src/drivers/secret.ts"))}; console.log(loadSecret(${JSON.stringify(join(folder, "d"))}));`;
    const texts = await Promise.all(
      Array.from({ length: 6 }, () =>
        new Response(Bun.spawn([process.execPath, "-e", script], { stderr: "inherit" }).stdout).text(),
      ),
    );
    expect(new Set(texts.map((text) => text.trim())).size).toBe(1);
    expect(readdirSync(join(folder, "d"))).toEqual(["secret"]);
  });
});
