import { type BadRecipe, fine } from "./row.js";

/** A recipe of two lines, three with a name, that merges those models. */
function stage(name: string, models: readonly string[], more = ""): string {
  const list = models.map((model) => `{ model: ${model} }`).join(", ");
  return `${name === "" ? "" : `name: ${name}\n`}merge_method: linear\nmodels: [${list}]\n${more}`;
}

const file = (...stages: readonly string[]) => stages.join("---\n");

/** Mistakes in files of several recipes. */
export const badStages: readonly BadRecipe[] = [
  [
    "the same name twice",
    file(stage("a", ["./x"]), stage("a", ["./y"]), stage("", ["a"])),
    ['5:7  Another recipe has the name "a", on line 1'],
  ],
  [
    "two recipes without a name",
    file(stage("a", ["./x"]), stage("", ["a"]), stage("", ["./y"])),
    ['8:15  Another recipe has no "name" either, and only the output can do without'],
  ],
  [
    "two outputs",
    file(stage("a", ["./x"]), stage("b", ["a"]), stage("c", ["./y"])),
    ['9:7  No recipe refers to any of "b", "c", so each could be the output: leave out the "name" of the one that is'],
  ],
  [
    "a recipe that needs its own output",
    file(stage("a", ["a"]), stage("", ["a"])),
    ['1:7  Recipe "a" needs its own output'],
  ],
  [
    "two recipes that need each other",
    file(stage("a", ["./x", "b"]), stage("b", ["a"]), stage("", ["b"])),
    [`1:7  Recipes "a", "b" need each other's output in a circle`],
  ],
  [
    "three in a circle, all with names",
    file(stage("a", ["b"]), stage("b", ["c"]), stage("c", ["a"])),
    [`1:7  Recipes "a", "b", "c" need each other's output in a circle`],
  ],
  [
    "a circle through a base model",
    file(stage("a", ["./x"], "base_model: b\n"), stage("b", ["./y"], "tokenizer_source: a\n"), stage("", ["a"])),
    [`1:7  Recipes "a", "b" need each other's output in a circle`],
  ],
  [
    "a revision of another recipe's output",
    file(stage("a", ["./x"]), stage("", ["a@main"])),
    ['6:19  Model "a@main" is the output of another recipe, which has no revisions'],
  ],
  [
    "a mistake in the second recipe",
    file(stage("a", ["./x"]), stage("", ["a"], "sed: 3\n")),
    ['7:1  Unknown key "sed", did you mean "seed"?'],
  ],
  [
    "mistakes in both",
    file(stage("a", ["./x"], "dtype: float33\n"), "name: b\n", "- x\n"),
    [
      '4:8  Unknown dtype "float33", did you mean "float32"?',
      '6:1  Missing key "merge_method"',
      '6:1  Missing one of the keys "models", "slices", "modules"',
      "8:1  A recipe must be a mapping, found a list",
    ],
  ],
  ["a word after the recipe", file(fine, "linear\n"), ['5:1  A recipe must be a mapping, found the string "linear"']],
  [
    "a name that is a number",
    file(stage("3", ["./x"]), stage("", ["./y"])),
    ['1:7  Key "name" must be a string, found the number 3'],
  ],
  [
    "broken syntax in the second recipe",
    file(fine, "models:\n\t- model: ./a\n", "name: 'a' b\n"),
    ["6:1  Not valid YAML: tabs are not allowed as indentation"],
  ],
  ["a tag in the second recipe", file(fine, "name: !local x\n"), ['5:7  Tag "!local" is not allowed']],
  [
    "an alias of an anchor in another recipe",
    file("name: a\nmerge_method: linear\nmodels: &m [{ model: ./a }]\n", "merge_method: linear\nmodels: *m\n"),
    ['6:9  Alias "*m" has no anchor before it'],
  ],
];
