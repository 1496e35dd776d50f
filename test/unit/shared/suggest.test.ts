import { expect, test } from "vitest";
import { suggest } from "../../../shared/suggest.js";

const methods = ["linear", "slerp", "task_arithmetic", "ties", "dare_linear", "dare_ties", "passthrough"];

test.each([
  ["ties", "ties"],
  ["TIES", "ties"],
  ["dare-ties", "dare_ties"],
  ["Dare-Ties", "dare_ties"],
  ["daer_ties", "dare_ties"],
  ["slrp", "slerp"],
  ["slurp", "slerp"],
  ["sleerp", "slerp"],
  ["lienar", "linear"],
  ["task_arithmatic", "task_arithmetic"],
  ["tasc_arithmatics", "task_arithmetic"],
  ["passthru", "passthrough"],
  ["della", undefined],
  ["", undefined],
  ["t", undefined],
])("suggest() takes %j for %j", (word, expected) => {
  expect(suggest(word, methods)).toBe(expected);
});

test("suggest() forgives nothing in a word of two letters but case and dashes", () => {
  expect(suggest("w", ["t"])).toBeUndefined();
  expect(suggest("T", ["t"])).toBe("t");
  expect(suggest("a-b", ["a_b"])).toBe("a_b");
});

test("suggest() counts a swap of neighbours as one slip", () => {
  expect(suggest("weigth", ["weight"])).toBe("weight");
  expect(suggest("dna", ["and"])).toBeUndefined();
  expect(suggest("adn", ["and"])).toBe("and");
});

test("suggest() prefers the nearest candidate, and the first of equally near ones", () => {
  expect(suggest("float61", ["bfloat16", "float16", "float64"])).toBe("float16");
  expect(suggest("float1", ["float64", "float16", "float12"])).toBe("float16");
  expect(suggest("float", ["float8", "float4"])).toBe("float8");
});

test("suggest() answers nothing without candidates, and for a word too long to be a slip", () => {
  expect(suggest("weight", [])).toBeUndefined();
  expect(suggest("a".repeat(100_000), ["a".repeat(100_000)])).toBeUndefined();
});
