import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { modelsOf } from "../../../../coordinator/recipe/models.js";
import { parseRecipes } from "../../../../coordinator/recipe/parse.js";

const fixtures = new URL("../../../../../test/fixtures/recipes/", import.meta.url);

/** A recipe that merges those models. */
function stage(name: string | undefined, models: readonly string[], more = ""): string {
  const list = models.map((model) => `{ model: ${model} }`).join(", ");
  return `${name === undefined ? "" : `name: ${name}\n`}merge_method: linear\nmodels: [${list}]\n${more}`;
}

/** The name of each stage, and which stages its models are. */
function order(text: string): readonly (readonly [string | undefined, ...(number | undefined)[]])[] {
  return parseRecipes(text, "recipe.yaml").stages.map((recipe) => [
    recipe.name?.value,
    ...modelsOf(recipe).map(({ value }) => value.stage),
  ]);
}

test("parseRecipes() reads a file of one recipe as its only stage", () => {
  const text = stage("a", ["a", "./x"]);
  const { file, stages } = parseRecipes(text, "recipe.yaml");
  expect(file).toBe("recipe.yaml");
  expect(stages).toMatchObject([{ file: "recipe.yaml", text, name: { value: "a", at: { line: 1, column: 7 } } }]);
  // A name is for other recipes: alone, it is also a path.
  expect(order(text)).toEqual([["a", undefined, undefined]]);
});

test("parseRecipes() puts each recipe after those it refers to, the one without a name last", () => {
  const text = readFileSync(new URL("stages.yaml", fixtures), "utf8");
  const { stages } = parseRecipes(text, "stages.yaml");
  expect(stages.map(({ name }) => name?.value)).toEqual(["math", "chat", undefined]);
  expect(stages.map(({ text }) => text)).toEqual([text, text, text]);
  expect(stages.map(({ method }) => method.at.line)).toEqual([22, 31, 2]);
  expect(stages[1]?.modules[0]?.slices[0]?.sources[0]?.model.value).toEqual({ text: "math", path: "math", stage: 0 });
  expect(stages[2]?.base?.value).toEqual({ text: "math", path: "math", stage: 0 });
  expect(stages[2]?.modules[0]?.slices[0]?.sources[1]?.model.value).toEqual({
    text: "chat+./lora",
    path: "chat",
    lora: { path: "./lora" },
    stage: 1,
  });
});

test.each([
  ["the order of the file", ["a", "b", "c"], [stage("a", ["x"]), stage("b", ["x"]), stage("c", ["a", "b"])]],
  ["what each needs first", ["c", "b", "a"], [stage("a", ["b"]), stage("b", ["c"]), stage("c", ["x"])]],
  [
    "the output last, though it stands first",
    ["a", "b", undefined],
    [stage(undefined, ["x"]), stage("a", ["x"]), stage("b", ["x"])],
  ],
  [
    "and last, though it needs only the first",
    ["a", "b", "c", undefined],
    [stage("a", ["x"]), stage(undefined, ["a"]), stage("b", ["x"]), stage("c", ["x"])],
  ],
  [
    "a recipe once that two need",
    ["d", "b", "c", "a"],
    [stage("a", ["b", "c"]), stage("b", ["d"]), stage("c", ["d", "b"]), stage("d", ["x"])],
  ],
  ["a base model before its merge", ["b", "a"], [stage("a", ["x"], "base_model: b\n"), stage("b", ["x"])]],
  ["a tokenizer before its merge", ["b", "a"], [stage("a", ["x"], "tokenizer_source: b\n"), stage("b", ["x"])]],
  [
    "a token before its merge",
    ["b", "a"],
    [stage("a", ["x"], "tokenizer: { tokens: { t: { source: b } } }\n"), stage("b", ["x"])],
  ],
])("parseRecipes() keeps %s", (_, names, stages) => {
  expect(order(stages.join("---\n")).map(([name]) => name)).toEqual(names);
});

test("parseRecipes() takes a LoRA of a recipe's name for a path", () => {
  expect(order([stage("l", ["x"]), stage(undefined, ["x+l"])].join("---\n"))).toEqual([
    ["l", undefined],
    [undefined, undefined],
  ]);
});

test("parseRecipes() orders a chain as long as a file can hold", () => {
  const length = 3500;
  const chain = Array.from({ length }, (_, index) => stage(`n${index}`, [`n${index + 1}`]));
  expect(order(chain.join("---\n"))[length - 1]).toEqual(["n0", length - 2]);
});

test("parseRecipes() counts lines through the whole file", () => {
  const text = `\uFEFF# first\r\n${stage("a", ["x"], "seed: 1\n")}...\n---\n\n# second\n${stage(undefined, ["a"])}`;
  expect(parseRecipes(text, "recipe.yaml").stages.map(({ method }) => method.at)).toEqual([
    { line: 3, column: 15 },
    { line: 10, column: 15 },
  ]);
});

test("parseRecipes() lets recipes use the same anchor for different things", () => {
  const recipe = (name: string, path: string) =>
    `name: ${name}\nmerge_method: linear\nmodels: [{ model: &m ${path} }]\nbase_model: *m\n`;
  const { stages } = parseRecipes(`${recipe("a", "./x")}---\n${recipe("b", "a")}`, "recipe.yaml");
  expect(stages.map(({ base }) => base?.value.text)).toEqual(["./x", "a"]);
});
