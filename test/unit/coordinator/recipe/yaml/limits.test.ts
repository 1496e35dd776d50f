import { expect, test } from "vitest";
import { parseRecipe, parseRecipes } from "../../../../../coordinator/recipe/parse.js";

const parse = (text: string) => () => parseRecipe(text, "recipe.yaml");

test("a recipe may be 256 KiB long, in bytes, and no longer", () => {
  const longest = "merge_method: linear\nmodels: [{ model: ./a }]\n# é".padEnd(262_143, "x");
  expect(longest).toHaveLength(262_143);
  expect(parse(longest)).not.toThrow();
  expect(parse(`${longest}#`)).toThrow("recipe.yaml:1:1  The recipe has 262145 bytes, more than the limit of 262144");
});

test.each([
  ["brackets", "[".repeat(20_000), "1:33"],
  ["closed brackets", `${"[".repeat(20_000)}${"]".repeat(20_000)}`, "1:33"],
  ["braces", "{a: ".repeat(20_000), "1:129"],
  ["dashes", "- ".repeat(20_000), "1:65"],
  ["question marks", "? ".repeat(20_000), "1:65"],
  ["indentation", Array.from({ length: 600 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n"), "33:33"],
])("a recipe nested too deep by %s is refused before anything recursive reads it", (_, text, place) => {
  expect(parse(text)).toThrow(`recipe.yaml:${place}  Nested more than 32 deep`);
});

test("a recipe may have 65536 parts", () => {
  const long = (parts: number) => `merge_method: linear\nmodels: [{ model: ./a }]\nx: [${"1,".repeat(parts)}]`;
  expect(parse(long(65_000))).toThrow('3:1  Unknown key "x"');
  expect(parse(long(66_000))).toThrow("1:1  The recipe has more than 65536 parts");
});

test("an alias bomb is refused where it would go off", () => {
  const level = (name: string, inside: string) => `${name}: &${name} [${Array(9).fill(inside).join(", ")}]`;
  const names = [..."abcdefghi"];
  const text = names.map((name, index) => level(name, index === 0 ? "1" : `*${names[index - 1]}`)).join("\n");
  expect(parse(text)).toThrow("recipe.yaml:5:36  Aliases make the recipe larger than 65536 parts");
});

test("and neither are several bombs that stay just below the limit", () => {
  const bomb = `a: &a [${"1,".repeat(300)}]\nb: [${"*a,".repeat(150)}]\n`;
  expect(() => parseRecipes(`${bomb}---\n${bomb}`, "recipe.yaml")).toThrow(
    /recipe.yaml:5:\d+ {2}Aliases make the recipe larger than 65536 parts/,
  );
  expect(() => parseRecipes(bomb, "recipe.yaml")).toThrow('1:1  Unknown key "a"');
});

test("merge keys are no way around that", () => {
  const text = Array.from({ length: 2000 }, (_, index) =>
    index === 0 ? "k0: &k0 { x: 1 }" : `k${index}: &k${index} { <<: *k${index - 1}, x${index}: 1 }`,
  ).join("\n");
  expect(parse(text)).toThrow("Aliases make the recipe larger than 65536 parts");
});

// A pattern that backtracks needs half a minute.
test("a quarter of a megabyte of digits in quotes is looked through once", { timeout: 10_000 }, () => {
  const text = `merge_method: linear\nmodels: [{ model: ./a, parameters: { weight: "${"9".repeat(250_000)}x" } }]\n`;
  expect(parse(text)).not.toThrow();
});
