import { describe, expect, test } from "bun:test";
import { Ajv } from "ajv";
import { policy } from "../../src/tasks/parse/policy.ts";

describe("the input of parse", () => {
  const validate = new Ajv({ strict: true, useDefaults: true }).compile(policy.input);

  test.each([
    { url: "http://example.com" },
    { url: "HTTPS://пример.рф/путь?q=а b", max_pages: 500, same_origin: false },
    { url: `https://example.com/${"x".repeat(2_028)}` },
  ])("may be %j", (input) => {
    expect(validate(input)).toBe(true);
  });

  test("has defaults", () => {
    const input = { url: "http://example.com" };
    validate(input);
    expect(input as unknown).toEqual({ url: "http://example.com", max_pages: 1, same_origin: true });
  });

  test.each([
    {},
    { url: 1 },
    { url: "" },
    { url: "example.com" },
    { url: "ftp://example.com" },
    { url: "http://" },
    { url: " http://example.com" },
    { url: `https://example.com/${"x".repeat(2_029)}` },
    { url: "http://example.com", max_pages: 0 },
    { url: "http://example.com", max_pages: 501 },
    { url: "http://example.com", max_pages: 1.5 },
    { url: "http://example.com", max_pages: "1" },
    { url: "http://example.com", same_origin: "true" },
    { url: "http://example.com", depth: 2 },
  ])("is not %j", (input) => {
    expect(validate(input)).toBe(false);
  });
});
