import { mkdir, readdir } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { methods } from "../../../shared/methods/index.js";
import { randomTensor, writeCheckpoint } from "../../support/checkpoints.js";
import { withWorkplace } from "../../support/command.js";
import { recipeFor } from "../../support/planning.js";
import { smallTensors, writeSmallModels } from "../../support/small-models.js";

// What is wrong with a recipe is said before a byte of weights moves: with its place, with exit code 2, and with
// nothing written.

const work = withWorkplace();
beforeAll(async () => {
  const { path, at } = await work;
  await writeSmallModels(path);
  await writeCheckpoint(at("wide"), { ...smallTensors(7), norm: randomTensor(1, [5], "BF16") });
  await writeCheckpoint(at("partial"), { norm: randomTensor(1, [4], "BF16") });
  await mkdir(at("hollow"));
});
afterAll(async () => (await work)[Symbol.asyncDispose]());

const each = "weight: 1";

test.each<[problem: string, recipe: string, ...lines: string[]]>([
  [
    "an unknown method",
    recipeFor("tise", ["math"]),
    'recipe.yaml:1:15  Unknown merge method "tise", did you mean "ties"?',
  ],
  [
    "a method like no other",
    recipeFor("stew", ["math"]),
    `recipe.yaml:1:15  Unknown merge method "stew", expected one of ${[...methods.keys()].map((name) => `"${name}"`).join(", ")}`,
  ],
  ["a missing base", recipeFor("ties", ["math"], { each }), 'recipe.yaml:1:15  Method "ties" needs a "base_model"'],
  [
    "models that are not there",
    recipeFor("linear", ["math", "moth", "myth"], { each }),
    'recipe.yaml:4:14  Cannot find model "moth": there is no "moth" nor "<here>/moth"',
    'recipe.yaml:5:14  Cannot find model "myth": there is no "myth" nor "<here>/myth"',
  ],
  [
    "a model that is listed twice",
    recipeFor("linear", ["math", "code", "math"], { each }),
    'recipe.yaml:5:14  Model "math" is listed twice: give it once, with the sum of its weights',
  ],
  [
    "shapes that differ",
    recipeFor("linear", ["math", "wide"], { each }),
    'recipe.yaml:4:14  Cannot merge tensor "norm": shapes differ, "math" has [4] and "wide" has [5]',
  ],
  [
    "a tensor that is missing",
    recipeFor("linear", ["math", "partial"], { each }),
    'recipe.yaml:4:14  Cannot merge tensor "layers.0.up": "partial" does not have it, "math" does',
  ],
  [
    "too many models for slerp",
    recipeFor("slerp", ["base", "math", "code"], { base: "base", rest: "parameters: { t: 0.5 }" }),
    'recipe.yaml:1:15  Method "slerp" merges exactly 1 model besides the base, the recipe lists 2',
  ],
  [
    "too many models for passthrough",
    recipeFor("passthrough", ["math", "code"]),
    'recipe.yaml:1:15  Method "passthrough" merges exactly 1 model, the recipe lists 2',
  ],
  [
    "weights that sum to zero",
    "merge_method: linear\nmodels: [{ model: math, parameters: { weight: 1 } }, { model: code, parameters: { weight: -1 } }]\n",
    'recipe.yaml:1:15  Cannot merge tensor "layers.0.up": the weights sum to 0, so they cannot be normalized: change a weight or set "normalize: false"',
  ],
  [
    "several things at once",
    "merge_metod: linear\nmodels:\n  - { model: math, parameters: { weight: .nan } }\n",
    'recipe.yaml:1:1  Unknown key "merge_metod", did you mean "merge_method"?',
    'recipe.yaml:3:42  Parameter "weight" must be finite, found the number NaN',
  ],
  [
    "a folder without a model",
    recipeFor("linear", ["math", "hollow"], { each }),
    'Cannot open checkpoint "hollow": the folder is empty',
  ],
])("a recipe with %s is refused by merge and by plan", async (_, recipe, ...lines) => {
  const { run, path, at, write } = await work;
  const file = await write("recipe.yaml", recipe);
  const before = await readdir(path);
  for (const command of [
    ["merge", file, at("out")],
    ["plan", file],
  ]) {
    const { code, stdout, stderr } = await run(...command);
    const said = stderr.replaceAll(`${process.cwd()}/`, "<here>/").trimEnd().split("\n");
    expect(said.slice(0, lines.length)).toEqual(lines);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(stderr.replaceAll("\n", "")).not.toMatch(/\p{C}/u);
  }
  expect(await readdir(path)).toEqual(before);
});

test("a recipe that cannot be read is refused", async () => {
  const { run, path, at } = await work;
  const missing = await run("merge", at("nowhere.yaml"), at("out"));
  expect([missing.code, missing.stderr]).toEqual([2, 'Cannot read recipe "nowhere.yaml": it does not exist\n']);
  const folder = await run("plan", path);
  expect([folder.code, folder.stderr]).toEqual([2, 'Cannot read recipe ".": it is a folder\n']);
});

test("with --json a failure is an event too", async () => {
  const { run, at, write } = await work;
  const file = await write("recipe.yaml", recipeFor("tise", ["math"]));
  const { code, stdout, stderr } = await run("merge", file, at("out"), "--json");
  const message = `${file}:1:15  Unknown merge method "tise", did you mean "ties"?`;
  expect(code).toBe(2);
  expect(JSON.parse(stdout.replace("recipe.yaml", file))).toEqual({ event: "failed", code: "recipe_invalid", message });
  expect(stderr).toBe('recipe.yaml:1:15  Unknown merge method "tise", did you mean "ties"?\n');
});
