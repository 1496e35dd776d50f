import type { ReportRecipes } from "./data.js";

/** Recipes in a page at most, and characters of them. */
export const maxRecipes = 2_000;
const maxCharacters = 8 * 1024 ** 2;

/** The recipes of trials, in the order given, as far as there is room. */
export function packRecipes(wanted: readonly number[], render: (which: number) => string): ReportRecipes {
  const places = new Map<string, number>();
  const of: Record<number, readonly number[]> = {};
  let [count, characters] = [0, 0];
  for (const which of wanted) {
    if (count >= maxRecipes || characters >= maxCharacters) break;
    const lines = render(which).trimEnd().split("\n");
    of[which] = lines.map((line) => {
      const known = places.get(line);
      if (known !== undefined) return known;
      characters += line.length;
      places.set(line, places.size);
      return places.size - 1;
    });
    count += 1;
  }
  const missing = `Only the recipes of the ${count} best trials are in this page.`;
  return { lines: [...places.keys()], of, missing };
}
