import { describe, expect, test } from "bun:test";
import { type FieldFlag, inputOf, inputProblem } from "../../src/cli/client/input.ts";
import { UsageError } from "../../src/config.ts";

const SCHEMA = {
  type: "object",
  required: ["url"],
  additionalProperties: false,
  properties: {
    url: { type: "string", format: "uri" },
    max_pages: { type: "integer", minimum: 1, maximum: 500, default: 1 },
    same_origin: { type: "boolean", default: true },
    no_cache: { type: "boolean" },
    code: { type: "string", pattern: "^[A-Z]+$", description: "Capitals, as in ABC." },
    tags: { type: "array", items: { type: "string", minLength: 2 } },
    deep: { type: "object", properties: { flag: { type: "boolean" }, n: { type: "integer" } } },
  },
};
const URL_FLAG: FieldFlag = { name: "url", text: "https://example.com/" };

const of = (flags: readonly FieldFlag[], base?: unknown, input: object = SCHEMA): Promise<unknown> =>
  inputOf({ name: "parse", input: input as typeof SCHEMA }, flags, base, ["watch"]);

/** `--a b` as [a, b]; `--a` as [a]. */
const flags = (...given: readonly (readonly [string, string?])[]): FieldFlag[] => [
  URL_FLAG,
  ...given.map(([name, text]) => ({ name, text })),
];
const url = "https://example.com/";

describe("an input from flags", () => {
  test.each<[FieldFlag[], object]>([
    [flags(), { url }],
    [flags(["max_pages", "5"]), { url, max_pages: 5 }],
    [flags(["max-pages", "5"]), { url, max_pages: 5 }],
    [flags(["same-origin"]), { url, same_origin: true }],
    [flags(["same-origin", "false"]), { url, same_origin: false }],
    [flags(["no-same-origin"]), { url, same_origin: false }],
    [flags(["no-cache"]), { url, no_cache: true }],
    [flags(["no-no-cache"]), { url, no_cache: false }],
    [flags(["tags", "aa"], ["tags", "bb"]), { url, tags: ["aa", "bb"] }],
    [flags(["deep.flag"], ["deep.n", "2"]), { url, deep: { flag: true, n: 2 } }],
    [flags(["deep", '{"n":1}'], ["deep.flag"]), { url, deep: { n: 1, flag: true } }],
  ])("%j", async (given, expected) => {
    expect(await of(given)).toEqual(expected);
  });

  test("goes over --input field by field, and leaves defaults to the server", async () => {
    const base = { url: "https://elsewhere.example/", deep: { n: 1 } };
    expect(await of(flags(["deep.flag"]), base)).toEqual({ url, deep: { n: 1, flag: true } });
    expect(base).toEqual({ url: "https://elsewhere.example/", deep: { n: 1 } });
  });

  test("a task that takes anything takes any field, even one with a name that objects have already", async () => {
    expect(await of([{ name: "x", text: "1" }], undefined, {})).toEqual({ x: 1 });
    expect(JSON.stringify(await of([{ name: "__proto__", text: "1" }], undefined, {}))).toBe('{"__proto__":1}');
    expect(await of([], [1], {})).toEqual([1]);
  });

  test.each<[FieldFlag[], unknown, string]>([
    [[], undefined, "--url is required"],
    [[{ name: "url", text: undefined }], undefined, "--url needs a value"],
    [[{ name: "url", text: "nowhere" }], undefined, '--url must match format "uri"'],
    [flags(["code", "abc"]), undefined, '--code must match pattern "^[A-Z]+$" (Capitals, as in ABC.)'],
    [flags(["max-pages", "many"]), undefined, '--max-pages must be a whole number, not "many"'],
    [flags(["max-pages", "501"]), undefined, "--max-pages must be <= 500"],
    [flags(["max_pages", "0"]), undefined, "--max-pages must be >= 1"],
    [flags(["max-pages", "1"], ["max-pages", "2"]), undefined, "--max-pages can be given once only"],
    [flags(["tags", "aa"], ["tags", "b"]), undefined, "--tags must NOT have fewer than 2 characters"],
    [flags(["deep.flag", "maybe"]), undefined, '--deep.flag must be true or false, not "maybe"'],
    [flags(["deep.flga"]), undefined, "parse takes no --deep.flga"],
    [flags(["max-page", "1"]), undefined, "parse takes no --max-page (did you mean --max-pages?); it has --url, --max-pages"],
    [flags(["wacth"]), undefined, "(did you mean --watch?)"],
    [flags(["watch"]), undefined, "parse takes no --watch: what belongs to artel run stands in front of --"],
    [flags(["no-url"]), undefined, "parse takes no --no-url"],
    [flags(), { max_pages: "1" }, "--input: /max_pages must be integer"],
    [flags(), { bogus: 1 }, "--input: /bogus unknown field"],
    [flags(), [1], "--input must be an object"],
    [[], [1], "--input must be object"],
  ])("%j over %j is wrong", async (given, base, message) => {
    const error = await of(given, base).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).message).toContain(message);
  });

  test("what a server says of it names the flag, and no control character", () => {
    expect(inputProblem({ path: "/max_pages", message: "too\u001b[31m many" }, flags(["max-pages", "5"]))).toBe(
      "--max-pages too[31m many",
    );
  });
});
