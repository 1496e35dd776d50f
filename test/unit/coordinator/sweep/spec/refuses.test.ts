import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { answerLosses } from "../../../../../coordinator/sweep/losses/losses.js";
import { parseSweep } from "../../../../../coordinator/sweep/spec/read.js";
import { AmalgamError } from "../../../../../shared/errors.js";
import { repositoryPath } from "../../../../support/repository.js";

// Every mistake is told with its place before anything is run. A sweep here has a part on each line, recipe first; a row
// replaces or adds some of them.

const folder = repositoryPath("examples", "digits");

// A model that is misspelt may be meant as one of the Hub's, which is not asked here.
beforeAll(() => vi.stubEnv("HF_HUB_OFFLINE", "1"));
afterAll(() => vi.unstubAllEnvs());

function recipe(weight: string, rest = ""): string {
  const model = `{model: experts/rotated, parameters: {weight: ${weight}}}`;
  return `recipe: {merge_method: task_arithmetic, base_model: base, models: [${model}]${rest}}`;
}

function value(weight: string, rest = ""): Readonly<Record<string, string>> {
  return { recipe: recipe(weight, rest) };
}

const good = {
  recipe: recipe("{range: [0, 1]}"),
  tasks: "tasks: tasks.yaml",
  search: "search: random",
  budget: "budget: {trials: 9}",
};

/** What is complained of, with `<here>` for the sweep's folder. */
async function complaintsOf(parts: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const file = `${folder}/sweep.yaml`;
  try {
    await parseSweep(Object.values({ ...good, ...parts }).join("\n"), file);
    return [];
  } catch (error) {
    if (!(error instanceof AmalgamError)) throw error;
    const plain = error.message.replaceAll(`${file}:`, "sweep.yaml:").replaceAll(`${folder}/`, "<here>/");
    return plain.replaceAll(`${process.cwd()}/`, "<cwd>/").split("\n");
  }
}

const losses = answerLosses.map(({ name }) => `"${name}"`).join(", ");

test("a sweep without mistakes has none", async () => {
  expect(await complaintsOf({})).toEqual([]);
});

test.each<[problem: string, parts: Readonly<Record<string, string>>, ...complaints: string[]]>([
  ["an unknown key", { x: "tasts: a.yaml" }, 'sweep.yaml:5:1  Unknown key "tasts", did you mean "tasks"?'],
  ["no recipe", { recipe: "" }, 'sweep.yaml:2:1  Missing key "recipe"'],
  [
    "a recipe that is a list",
    { recipe: "recipe: [a]" },
    'sweep.yaml:1:9  Key "recipe" must be a recipe or the path of one, found a list',
  ],
  [
    "a recipe file that is not there",
    { recipe: "recipe: nowhere.yaml" },
    'sweep.yaml:1:9  Cannot read recipe "<here>/nowhere.yaml": it does not exist',
  ],
  [
    "nothing to search",
    value("1"),
    'sweep.yaml:1:1  The recipe has nothing to search: write "{ range: [0, 1] }" or "{ choices: [a, b] }" in place of a value',
  ],
  [
    "a misspelt key of a value",
    value("{range: [0, 1], stat: 1}"),
    'sweep.yaml:1:130  Unknown key "stat", did you mean "start"?',
  ],
  ["a misspelt range", value("{rnge: [0, 1]}"), 'sweep.yaml:1:115  Unknown key "rnge", did you mean "range"?'],
  [
    "range and choices",
    value("{range: [0, 1], choices: [1]}"),
    'sweep.yaml:1:130  Key "choices" cannot stand beside "range", remove one of them',
  ],
  [
    "a range of one number",
    value("{range: [1]}"),
    "sweep.yaml:1:122  A range is two numbers, the lower one first, such as [0, 1]; found 1 number",
  ],
  [
    "a range of words",
    value("{range: [low, high]}"),
    'sweep.yaml:1:122  A range is two numbers, the lower one first, such as [0, 1]; found the string "low" among them',
  ],
  [
    "a range the wrong way round",
    value("{range: [1, 0]}"),
    "sweep.yaml:1:122  Range [1, 0] is empty: the first number must be the smaller one",
  ],
  [
    "an endless range",
    value("{range: [0, .inf]}"),
    "sweep.yaml:1:122  A range is two numbers, the lower one first, such as [0, 1]; found the number Infinity among them",
  ],
  [
    "a log scale from 0",
    value("{range: [0, 1], scale: log}"),
    "sweep.yaml:1:122  Range [0, 1] has no log scale: it must begin above 0",
  ],
  [
    "steps on a log scale",
    value("{range: [0.1, 1], scale: log, step: 0.1}"),
    'sweep.yaml:1:144  Key "step" cannot stand beside "scale: log", on which equal steps are no equal ratios',
  ],
  [
    "whole numbers on a log scale",
    value("{range: [1, 9], scale: log, integer: true}"),
    'sweep.yaml:1:142  Key "integer" cannot stand beside "scale: log", on which equal steps are no equal ratios',
  ],
  [
    "an unknown scale",
    value("{range: [0, 1], scale: lin}"),
    'sweep.yaml:1:137  Key "scale" cannot be "lin", expected one of "linear", "log"',
  ],
  [
    "a step longer than the range",
    value("{range: [0.1, 0.4], step: 0.5}"),
    'sweep.yaml:1:140  Key "step" must be above 0 and at most 0.3, the range\'s length, found the number 0.5',
  ],
  [
    "whole numbers between fractions",
    value("{range: [0.5, 2], integer: true}"),
    "sweep.yaml:1:122  Range [0.5, 2] of whole numbers must begin and end with one",
  ],
  [
    "a fraction for a step of whole numbers",
    value("{range: [0, 2], integer: true, step: 0.5}"),
    'sweep.yaml:1:151  Key "step" of whole numbers must be a whole number, found the number 0.5',
  ],
  ["a start outside", value("{range: [0, 1], start: 2}"), "sweep.yaml:1:137  Start 2 is outside of the range [0, 1]"],
  [
    "a start between steps",
    value("{range: [0, 1], step: 0.25, start: 0.3}"),
    "sweep.yaml:1:149  Start 0.3 is not 0 and some steps of 0.25",
  ],
  ["no choices", value("{choices: []}"), 'sweep.yaml:1:124  Key "choices" is an empty list'],
  [
    "a choice that is a list",
    value("{choices: [1, [2]]}"),
    "sweep.yaml:1:128  Choice 2 must be a finite number, a string, true or false, found a list",
  ],
  ["a choice that is there twice", value('{choices: [1, "1"]}'), "sweep.yaml:1:128  Choice 2 is there twice: 1"],
  [
    "a step of choices",
    value("{choices: [1, 2], step: 1}"),
    'sweep.yaml:1:132  Key "step" cannot stand beside "choices"',
  ],
  [
    "a start that is no choice",
    value("{choices: [1, 2], start: 3}"),
    "sweep.yaml:1:139  Start must be one of the choices, found the number 3",
  ],
  [
    "values that the method does not take",
    { recipe: recipe("{range: [0, 1]}", ", parameters: {lambda: {choices: [1, high]}}") },
    'sweep.yaml:1:155  Parameter "lambda" must be a number, found the string "high"',
  ],
  [
    "a choice of methods with a misspelt one",
    { recipe: recipe("1").replace("task_arithmetic", "{choices: [task_arithmetic, tise]}") },
    'sweep.yaml:1:24  Unknown merge method "tise", did you mean "ties"?',
  ],
  [
    "an undeclared parameter",
    value("$wait"),
    'sweep.yaml:1:114  Unknown parameter "$wait" of the sweep, declare it under "parameters" of the sweep',
  ],
  [
    "a misspelt parameter",
    { ...value("$wieght"), p: "parameters: {weight: {range: [0, 1]}}" },
    'sweep.yaml:1:114  Unknown parameter "$wieght" of the sweep, did you mean "weight"?',
    'sweep.yaml:5:14  Parameter "weight" is not used: write "$weight" in the recipe',
  ],
  [
    "a parameter that is not used",
    { p: "parameters: {density: {range: [0, 1]}}" },
    'sweep.yaml:5:14  Parameter "density" is not used: write "$density" in the recipe',
  ],
  [
    "a parameter that is a number",
    { ...value("$a"), p: "parameters: {a: 1}" },
    'sweep.yaml:5:17  Parameter "a" must be a mapping like "{ range: [0, 1] }" or "{ choices: [a, b] }"',
  ],
  [
    "one name for two values",
    value("{range: [0, 1], name: a}", ", parameters: {lambda: {range: [0, 1], name: a}}"),
    'sweep.yaml:1:186  Another value has the name "a", on line 1: declare it once under "parameters" and write "$a"',
  ],
  [
    "more groups than layers",
    value("{range: [0, 1], groups: 5}"),
    "sweep.yaml:1:138  There are 4 layers, fewer than 5 groups",
  ],
  [
    "groups of nothing",
    value("{range: [0, 1], groups: half}"),
    'sweep.yaml:1:138  Key "groups" must be a whole number from 1 to 1000, "layer", "tensor" or a mapping from names to filters, found the string "half"',
  ],
  [
    "a group without tensors",
    value("{range: [0, 1], groups: {a: attention, b: attention.output, c: [mlp]}}"),
    'sweep.yaml:1:138  Group "b" has no tensors that are not in an earlier one',
  ],
  [
    "a group called other",
    value("{range: [0, 1], groups: {other: attention}}"),
    'sweep.yaml:1:139  Group "other" is what no other group has, leave it out',
  ],
  [
    "a group by a broken glob",
    value('{range: [0, 1], groups: {a: "[*"}}'),
    'sweep.yaml:1:142  Filter "[*" has a "[" without a "]" after it',
  ],
  [
    "groups of a seed",
    value("1", ", seed: {range: [0, 9], integer: true, groups: 2}"),
    'sweep.yaml:1:165  Groups are for values under "parameters": nothing else differs between tensors',
  ],
  [
    "groups in a list of filters",
    value("[{filter: attention, value: {range: [0, 1], groups: 2}}, {value: 1}]"),
    "sweep.yaml:1:142  Groups cannot stand in a list of filters or over the layers: give them the whole value",
  ],
  [
    "mistakes of the recipe",
    {
      recipe: "recipe: {merge_metod: ties, models: [{model: experts/rotated, parameters: {weight: {range: [0, 1]}}}]}",
    },
    'sweep.yaml:1:10  Unknown key "merge_metod", did you mean "merge_method"?',
  ],
  [
    "a model that is not there",
    { recipe: recipe("{range: [0, 1]}").replace("rotated", "rotten") },
    'sweep.yaml:1:76  Cannot find model "experts/rotten": there is no "<here>/experts/rotten" nor "<cwd>/experts/rotten"',
  ],
  [
    "a task file that is not there",
    { tasks: "tasks: nowhere.yaml" },
    'sweep.yaml:2:8  Cannot read task file "<here>/nowhere.yaml": it does not exist',
  ],
  [
    "a task that is not there",
    { tasks: "tasks: {file: tasks.yaml, only: [rotatd]}" },
    'sweep.yaml:2:34  Unknown task "rotatd", did you mean "rotated"?',
  ],
  [
    "nothing held out",
    { tasks: "tasks: {file: tasks.yaml, hold_out: 1}" },
    'sweep.yaml:2:37  Key "hold_out" must be a share between 0 and 1 or a task file, found the number 1',
  ],
  [
    "rungs that descend",
    { tasks: "tasks: {file: tasks.yaml, rungs: [64, 32]}" },
    "sweep.yaml:2:39  Rungs must ascend, found 32 after 64",
  ],
  [
    "rungs of two kinds",
    { tasks: "tasks: {file: tasks.yaml, rungs: [0.5, 32]}" },
    "sweep.yaml:2:40  Rungs are either numbers of examples or shares, found 0.5 and 32",
  ],
  [
    "a rung of all examples",
    { tasks: "tasks: {file: tasks.yaml, limit: 32, rungs: [32]}" },
    "sweep.yaml:2:46  Rung 32 is no part of 32 examples, the limit: the last rung is all of them",
  ],
  [
    "an expert that is no model",
    { tasks: "tasks: {file: tasks.yaml, experts: {rotated: experts/rotatde}}" },
    'sweep.yaml:2:46  The recipe has no model "experts/rotatde", did you mean "experts/rotated"?',
  ],
  [
    "an expert of no task",
    { tasks: "tasks: {file: tasks.yaml, experts: {rotate: experts/rotated}}" },
    'sweep.yaml:2:37  Unknown task "rotate", did you mean "rotated"?',
  ],
  [
    "an objective of no task",
    { o: "objective: rotate" },
    'sweep.yaml:5:12  Unknown task "rotate", did you mean "rotated"?',
  ],
  [
    "two ways to say objectives",
    { o: "objective: mean\nobjectives: [worst]" },
    'sweep.yaml:6:1  Key "objectives" cannot stand beside "objective", remove one of them',
  ],
  [
    "an objective that is there twice",
    { o: "objectives: [mean, {of: mean, metric: acc}]" },
    'sweep.yaml:5:20  Objective "mean acc" is there twice',
  ],
  [
    "a metric that a task does not have",
    { o: "objective: {of: noisy, metric: ac}" },
    'sweep.yaml:5:32  Task "noisy" has no metric "ac", did you mean "acc"?',
  ],
  [
    "a loss that nobody knows",
    { o: "objective: {loss: entropi}" },
    'sweep.yaml:5:19  Unknown loss "entropi", did you mean "entropy"?',
  ],
  [
    "a metric and a loss",
    { o: "objective: {metric: acc, loss: entropy}" },
    'sweep.yaml:5:26  Key "loss" cannot stand beside "metric", remove one of them',
  ],
  [
    "a weight of nothing",
    { o: "objectives: [{of: mean, weight: 0}]" },
    'sweep.yaml:5:33  Key "weight" must be a number above 0, found the number 0',
  ],
  [
    "a loss without experts",
    { o: "objective: {of: inverted, loss: distillation}" },
    'sweep.yaml:5:12  Loss "distillation" compares with each task\'s expert, and there is none of "inverted": name it in "tasks", as in "experts: { task: model }"',
  ],
  [
    "a constraint without a bound",
    { c: "constraints: [{of: mean}]" },
    'sweep.yaml:5:15  Missing one of the keys "at_least", "at_most"',
  ],
  [
    "a constraint that nothing meets",
    { c: "constraints: [{of: mean, at_least: 2, at_most: 1}]" },
    "sweep.yaml:5:15  No number is at least 2 and at most 1",
  ],
  [
    "a constraint of no metric",
    { c: "constraints: [{of: mean, metric: bleu, at_least: 2}]" },
    'sweep.yaml:5:34  Task "rotated" has no metric "bleu", expected one of "acc", "logprob", "entropy"',
  ],
  [
    "no trials",
    { budget: "budget: {trials: 0}" },
    'sweep.yaml:4:18  Key "trials" must be a whole number from 1 to 9007199254740991, found the number 0',
  ],
  [
    "no minutes",
    { budget: "budget: {minutes: 0}" },
    'sweep.yaml:4:19  Key "minutes" must be a number above 0, found the number 0',
  ],
  [
    "a budget of nothing",
    { budget: "budget: {}" },
    'sweep.yaml:4:9  Key "budget" has no limit, it needs "trials", "examples" or "minutes"',
  ],
  [
    "a search without an end",
    { search: "search: cma-es", budget: "" },
    'sweep.yaml:3:9  Search "cma-es" has no end of its own, add one: "budget: { trials: 200 }"',
  ],
  ["an unknown search", { search: "search: cmaes" }, 'sweep.yaml:3:9  Unknown search "cmaes", did you mean "cma-es"?'],
  [
    "an unknown option",
    { search: "search: {kind: cma-es, populaton: 9}" },
    'sweep.yaml:3:24  Unknown key "populaton", did you mean "population"?',
  ],
  [
    "an option outside of its bounds",
    { search: "search: {kind: cma-es, population: 1}" },
    'sweep.yaml:3:36  Key "population" must be a whole number from 2 to 100000, found the number 1',
  ],
  [
    "an option that is no choice",
    { search: "search: {kind: asha, proposals: sobl}" },
    'sweep.yaml:3:33  Key "proposals" cannot be "sobl", did you mean "sobol"?',
  ],
  [
    "a search that learns from answers",
    { search: "search: adamerging" },
    `sweep.yaml:3:9  Search "adamerging" learns from a loss of models' answers, and "mean acc" is a metric: give "loss", one of ${losses}`,
  ],
  [
    "a search that learns from answers, asked for a metric",
    { search: "search: adamerging", o: "objective: worst" },
    `sweep.yaml:5:12  Search "adamerging" learns from a loss of models' answers, and "worst acc" is a metric: give "loss", one of ${losses}`,
  ],
  [
    "the worst task for a search that follows a mean",
    { search: "search: adamerging", o: "objective: {of: worst, loss: entropy}" },
    'sweep.yaml:5:12  Search "adamerging" follows a mean over tasks, not the worst of them: write "of: mean"',
  ],
  [
    "seeds and widths",
    { x: "seed: -1\nparallel: 0" },
    'sweep.yaml:5:7  Key "seed" must be a whole number from 0 to 9007199254740991, found the number -1',
    'sweep.yaml:6:11  Key "parallel" must be a whole number from 1 to 1024, found the number 0',
  ],
  [
    "several documents",
    { x: "---\na: 1" },
    "sweep.yaml:6:1  There are several documents in the file, and a sweep is of one",
  ],
  [
    "set without a file",
    { x: "set: {a: 1}" },
    'sweep.yaml:5:1  Key "set" is for a recipe in a file of its own: write the values into the recipe',
  ],
  [
    "a set that leads nowhere",
    { recipe: 'recipe: recipes/ties.yaml\nset: {"models[9].parameters.weight": {range: [0, 1]}}' },
    'sweep.yaml:2:7  There is no "models[9].parameters.weight" in the recipe, which is to be a path like "parameters.lambda" or "models[0].parameters.weight"',
  ],
  [
    "a misspelt set",
    { recipe: "recipe: recipes/ties.yaml\nset: {parameters.lamda: {range: [0, 1]}}" },
    'sweep.yaml:2:7  Unknown parameter "lamda": method "ties" takes "weight", "density", "lambda", "normalize", "rescale", "scope", did you mean "lambda"?',
  ],
  [
    "too many choices",
    value(`{choices: [${Array.from({ length: 1001 }, (_, i) => i).join(", ")}]}`),
    "sweep.yaml:1:124  There are 1001 choices, more than the limit of 1000",
  ],
])("%s", async (_, parts, ...complaints) => {
  expect(await complaintsOf(parts)).toEqual(complaints);
});

test("mistakes in all parts are told at once", async () => {
  const parts = {
    recipe: recipe("{range: [1, 0]}"),
    tasks: "tasks: {file: tasks.yaml, rungs: [9, 3]}",
    search: "search: radnom",
    budget: "budget: {trials: -1}",
    objective: "objective: nothing",
  };
  const lines = (await complaintsOf(parts)).map((line) => line.split("  ")[0]);
  expect(lines).toEqual([
    "sweep.yaml:1:122",
    "sweep.yaml:2:38",
    "sweep.yaml:3:9",
    "sweep.yaml:4:18",
    "sweep.yaml:5:12",
  ]);
});

test("a word that is near to nothing is told what there is", async () => {
  expect(await complaintsOf({ objective: "objective: everything" })).toEqual([
    'sweep.yaml:5:12  Unknown task "everything"; there are "mean", "worst", "rotated", "inverted", "mirrored", "sheared", "noisy"',
  ]);
});
