import { expect, test } from "bun:test";
import { closest, didYouMean } from "../../src/domain/closest.ts";

const KNOWN = ["serve", "work", "migrate", "version"];

test.each([
  ["serv", "serve"],
  ["SERVE", "serve"],
  ["migarte", "migrate"],
  ["vesrion", "version"],
  ["wrk", "work"],
])("%s was to be %s", (word, meant) => {
  expect(closest(word, KNOWN)).toBe(meant);
});

test.each(["", "x", "wo", "deploy", "serve-everything"])("%j is near to none", (word) => {
  expect(closest(word, KNOWN)).toBeUndefined();
});

test("asks only where there is a guess", () => {
  expect([didYouMean("treads", ["threads"], "--"), didYouMean("deploy", KNOWN), didYouMean("serv", [])]).toEqual([
    " (did you mean --threads?)",
    "",
    "",
  ]);
});
