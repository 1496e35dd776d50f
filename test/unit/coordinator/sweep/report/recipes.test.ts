import { expect, test } from "vitest";
import { maxRecipes, packRecipes } from "../../../../../coordinator/sweep/report/recipes.js";

const recipe = (which: number): string => `merge_method: ties\nmodels:\n  - a\n  - a\nlambda: ${which}\n`;

test("recipes come back from the lines that they share", () => {
  const { lines, of } = packRecipes([5, 2], recipe);
  expect(lines).toHaveLength(5);
  for (const which of [5, 2]) {
    expect(`${of[which]?.map((place) => lines[place]).join("\n")}\n`).toBe(recipe(which));
  }
});

test("there are no more than fit, the first of those that are wanted", () => {
  const wanted = Array.from({ length: maxRecipes + 5 }, (_, i) => 9_000 - i);
  const packed = packRecipes(wanted, recipe);
  expect(Object.keys(packed.of)).toHaveLength(maxRecipes);
  expect(packed.of[9_000]).toBeDefined();
  expect(packed.of[wanted.at(-1) ?? 0]).toBeUndefined();
  const long = packRecipes([0, 1, 2, 3], (which) => String(which).repeat(5 * 1024 ** 2));
  expect(Object.keys(long.of)).toEqual(["0", "1"]);
});
