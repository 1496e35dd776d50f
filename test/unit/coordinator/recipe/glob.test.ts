import { expect, test } from "vitest";
import { compileGlob, isGlob, problemWithGlob } from "../../../../coordinator/recipe/glob.js";

const mlp = "model.layers.13.mlp.up_proj.weight";

test.each([
  ["*", mlp, true],
  ["**", mlp, true],
  ["*.weight", mlp, true],
  ["model.*", mlp, true],
  ["model.*.weight", mlp, true],
  ["*.mlp.*", mlp, true],
  ["*mlp", mlp, false],
  ["mlp*", mlp, false],
  ["*.bias", mlp, false],
  ["model.layers.?.*", mlp, false],
  ["model.layers.??.*", mlp, true],
  ["model.layers.1[0-4].*", mlp, true],
  ["model.layers.1[!0-4].*", mlp, false],
  ["model.layers.1[!0-2].*", mlp, true],
  ["model.layers.[1-3][357].*", mlp, true],
  ["*.mlp.[ug]p_proj.weight", mlp, true],
  ["MODEL.*", mlp, false],
  ["*.13.*.weight", mlp, true],
  ["*.weight*weight", mlp, false],
  ["*up*up*", mlp, false],
  ["a?c", "abc", true],
  ["a?c", "ac", false],
  ["abc?", "abc", false],
  ["abc*", "abc", true],
  ["a[]]c", "a]c", true],
  ["a[!]]c", "a]c", false],
  ["a[!]]c", "abc", true],
  ["a[b-]c", "a-c", true],
  ["a[-b]c", "a-c", true],
  ["a[z-a]c", "abc", false],
  ["a.c*", "abc", false],
  ["a\\*", "a\\b", true],
  ["?", "", false],
  ["*?", "", false],
  ["*", "", true],
])("compileGlob(%j) on %j is %j, as Python's fnmatch", (glob, name, expected) => {
  expect(compileGlob(glob)(name)).toBe(expected);
});

test.each([
  ["*", false],
  ["mlp", false],
  ["up_proj.weight", false],
  ["a]", false],
  ["**", true],
  ["a?", true],
  ["[ab]", true],
])("isGlob(%j) is %j", (filter, expected) => {
  expect(isGlob(filter)).toBe(expected);
});

test.each([
  ["*.mlp.*", undefined],
  ["[]", 'has a "[" without a "]" after it'],
  ["[!]", 'has a "[" without a "]" after it'],
  ["a[b]c[d", 'has a "[" without a "]" after it'],
  ["*".repeat(512), undefined],
  ["*".repeat(513), "is a glob of 513 characters, more than the limit of 512"],
])("problemWithGlob(%j) is %j", (glob, problem) => {
  expect(problemWithGlob(glob)).toBe(problem);
});

test("a glob with a problem matches nothing", () => {
  expect(compileGlob("[a")("[a")).toBe(false);
});

// A matcher that tries every length of every star would not live to see the end.
test("a glob of stars is through with a long name at once", { timeout: 10_000 }, () => {
  const matches = compileGlob(`${"*a".repeat(255)}*b`);
  expect(matches("a".repeat(10_000))).toBe(false);
  expect(matches(`${"a".repeat(10_000)}b`)).toBe(true);
});
