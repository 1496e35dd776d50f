import { expect, test } from "vitest";
import { wordOf } from "../../../../shared/bus/bus.js";

test.each([
  ["gpu-3", "gpu-3"],
  ["gpu 3.rack", "gpu_203_2erack"],
  ["a_b", "a_5fb"],
  ["ü", "_c3_bc"],
  ["*>", "_2a_3e"],
])("wordOf() writes %j as %s", (name, word) => {
  expect(wordOf(name)).toBe(word);
});

test("wordOf() gives different names different words", () => {
  const names = ["a b", "a_20b", "a__20b", "a.b", "a_2eb"];
  expect(new Set(names.map(wordOf)).size).toBe(names.length);
});
