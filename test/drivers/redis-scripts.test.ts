import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SCRIPTS } from "../../src/drivers/redis/scripts.ts";

const FOLDER = join(import.meta.dir, "../../src/drivers/redis/scripts");
const LIB = "lib.lua";
const files = readdirSync(FOLDER).filter((file) => file !== LIB);
const text = (file: string): string => readFileSync(join(FOLDER, file), "utf8");

/** "-- KEYS[1]  prefix" and the like, with what is said of each; "ARGV[4…]" ends a list. */
const DECLARED = /^-- (KEYS|ARGV)\[(\d*)(…?)\] {1,2}(.+)$/gm;

interface Script {
  readonly name: string;
  readonly keys: number;
  readonly header: string;
  readonly code: string;
  readonly declared: readonly { readonly kind: string; readonly index: number; readonly open: boolean; readonly says: string }[];
}

function read(file: string): Script {
  const [, name = "", keys] = /^([a-z]+)-(\d)\.lua$/.exec(file) ?? [];
  const lines = text(file).split("\n");
  const end = lines.findIndex((line) => !line.startsWith("--"));
  const header = lines.slice(0, end).join("\n");
  // What goes on in the next line belongs to the entry before.
  const joined = header.replaceAll(/\n-- {2,}/g, " ");
  const declared = [...joined.matchAll(DECLARED)].map(([, kind = "", index, open, says = ""]) => ({
    kind,
    index: Number(index),
    open: open !== "",
    says,
  }));
  const code = lines.slice(end).join("\n").replaceAll(/--.*$/gm, "");
  return { name, keys: Number(keys), header, code, declared };
}

/** The indices of KEYS or ARGV that code names by a number. */
const used = (code: string, kind: string): number[] =>
  [...new Set([...code.matchAll(new RegExp(`${kind}\\[(\\d+)\\]`, "g"))].map(([, index]) => Number(index)))].sort(
    (a, b) => a - b,
  );

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

describe("scripts", () => {
  test("each file is a script, and each script a file that says how many keys it takes", () => {
    const byFile = Object.fromEntries(files.map(read).map(({ name, keys }) => [name, keys]));
    const known = Object.fromEntries(Object.entries(SCRIPTS).map(([name, { numberOfKeys }]) => [name, numberOfKeys]));
    expect(known).toEqual(byFile);
  });

  test.each(files)("%s says which keys it takes, and takes no others", (file) => {
    const { keys, declared, code } = read(file);
    expect(declared.filter(({ kind }) => kind === "KEYS").map(({ index }) => index)).toEqual(upTo(keys));
    // The first is the prefix, under which the names of keys.ts stand.
    expect(used(`KEYS[1] ${code}`, "KEYS")).toEqual(upTo(keys));
  });

  test.each(files)("%s says which arguments it takes, each of which it uses", (file) => {
    const { declared, code } = read(file);
    const args = declared.filter(({ kind }) => kind === "ARGV");
    const single = args.filter(({ open }) => !open).map(({ index }) => index);
    expect(single).toEqual(upTo(single.length));
    const lists = args.slice(single.length);
    expect(lists.every(({ open }) => open)).toBe(true);
    expect(lists.length > 0).toBe(/#ARGV/.test(code));
    // Where lists follow they begin behind the last single one, in a loop.
    const named = used(code, "ARGV");
    expect(named.filter((index) => index <= single.length)).toEqual(single);
    expect(named.filter((index) => index > single.length)).toEqual([]);
    if (lists.length > 0) expect(code).toContain(`for i = ${single.length + 1}, `);
  });

  test.each(files)("%s says what it does, the units of times, and what it returns", (file) => {
    const { header, declared } = read(file);
    expect(header).toMatch(/^-- [A-Z][^\n]{10,}\n/);
    expect(header).toMatch(/\n--\n-- Returns \{epoch\b/);
    for (const { says } of declared) if (/^(now|when|how long)\b/.test(says)) expect(says).toContain("in milliseconds");
  });

  test("what they share is in all of them, and all of it is used", () => {
    const lib = text(LIB);
    const scripts = Object.values(SCRIPTS).map(({ lua }) => lua);
    for (const lua of scripts) expect(lua).toContain(lib);
    const all = [lib, ...files.map(text)].join("\n");
    for (const [, name] of lib.matchAll(/^local function (\w+)/gm)) {
      const places = all.match(new RegExp(`\\b${name}\\(`, "g")) ?? [];
      expect([name, places.length > 1]).toEqual([name, true]);
    }
  });

  test("no key is named in them but by keys.ts, for all lie in one slot; Dragonfly is told that not all are declared", () => {
    for (const { lua } of Object.values(SCRIPTS)) {
      expect(lua).toStartWith("--!df flags=allow-undeclared-keys\n");
      expect(lua).not.toMatch(/redis\.call\('[A-Z]+', '(?!server')/);
    }
  });
});
