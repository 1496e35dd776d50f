import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { bindParameters } from "../../../../coordinator/recipe/bind.js";
import { parseRecipes } from "../../../../coordinator/recipe/parse.js";
import type { Recipe } from "../../../../coordinator/recipe/recipe.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { methods } from "../../../../shared/methods/index.js";

const fixtures = new URL("../../../../../test/fixtures/recipes/", import.meta.url);
const recipes = readdirSync(fixtures).map((name) => readFileSync(new URL(name, fixtures), "utf8"));

const merging = [...methods.values()];

/** What mutations put in: YAML's own signs, the recipe's words, and what breaks other parsers. */
const pieces = [
  ..."{}[]:,-?&*!|>'\"%@`#~\\\t\n\r\0 ",
  ...[
    "---\n",
    "...\n",
    "<<: ",
    "&a ",
    "*a",
    "!!js/function ",
    "!!map ",
    "%YAML 1.1\n",
    "\r\n",
    "\uFEFF",
    "\uD800",
    "\u2028",
  ],
  ...["merge_method", "models:", "- model: ", "parameters:", "weight: ", "filter: ", "value: ", "seed: ", "dtype: "],
  ...[
    "slices:",
    "sources:",
    "layer_range: [0, 2]",
    "modules:",
    "tokenizer:",
    "kind: ",
    "name: ",
    "a+b",
    "a@b",
    "[0-9]",
  ],
  ...[
    ".nan",
    ".inf",
    "1e999",
    "-0",
    "null",
    "true",
    "off",
    "__proto__: ",
    "999999999999999999",
    "[[[[",
    "{{{{",
    "- - - ",
  ],
];

/** A small generator of numbers below `bound`, the same on every machine (mulberry32). */
function createRandom(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

/** Cuts, repeats, swaps or inserts something, a few times over. */
function mutate(text: string, random: (bound: number) => number): string {
  let mutated = text;
  for (let times = 1 + random(3); times > 0; times--) {
    const from = random(mutated.length + 1);
    const to = from + random(random(3) === 0 ? 200 : 8);
    const [before, span, after] = [mutated.slice(0, from), mutated.slice(from, to), mutated.slice(to)];
    const piece = pieces[random(pieces.length)] ?? "";
    mutated =
      [before + after, before + span + span + after, before + piece + after, before + piece + span + after][
        random(4)
      ] ?? "";
  }
  return mutated;
}

test("parseRecipes() and bindParameters() answer any text with recipes or with complaints about its lines", () => {
  const random = createRandom(2024);
  const seen = { recipes: 0, bound: 0, complaints: 0 };
  for (let attempt = 0; attempt < 4000; attempt++) {
    const text = mutate(recipes[attempt % recipes.length] ?? "", random);
    try {
      const { stages } = parseRecipes(text, "f");
      seen.recipes += 1;
      for (const recipe of stages) {
        const method = merging[random(merging.length)];
        if (method !== undefined) tryToBind(recipe, method, text);
      }
      seen.bound += 1;
    } catch (error) {
      seen.complaints += 1;
      expectComplaints(error, text);
    }
  }
  // A fuzzer whose texts are all broken, or all fine, finds nothing.
  expect(seen.recipes).toBeGreaterThan(400);
  expect(seen.bound).toBe(seen.recipes);
  expect(seen.complaints).toBeGreaterThan(500);
});

function tryToBind(recipe: Recipe, method: Parameters<typeof bindParameters>[1], text: string): void {
  try {
    const slices = bindParameters(recipe, method).modules.flatMap((module) => module.slices);
    for (const settings of slices.flatMap(({ perSource, base, merge }) => [...perSource, base, merge])) {
      for (const setting of settings.values()) setting("model.layers.1.mlp.up_proj.weight", { index: 1, count: 3 });
    }
  } catch (error) {
    expectComplaints(error, text);
  }
}

/** The error is ours, and each of its lines points into the text. */
function expectComplaints(error: unknown, text: string): void {
  if (!(error instanceof AmalgamError))
    throw new Error(`Not a complaint, for ${JSON.stringify(text)}`, { cause: error });
  const lineCount = text.split("\n").length;
  for (const line of error.message.split("\n")) {
    const place = /^f:(\d+):(\d+) {2}\S.*$/.exec(line);
    if (place === null || Number(place[1]) > lineCount) throw new Error(`${line}, for ${JSON.stringify(text)}`);
  }
}
