import { expect, test } from "vitest";
import { parseSweep } from "../../../../../coordinator/sweep/spec/read.js";
import { repositoryPath } from "../../../../support/repository.js";

const file = `${repositoryPath("examples", "digits")}/sweep.yaml`;

const rest = ["tasks: tasks.yaml", "search: tpe", "budget: {trials: 9}", ""].join("\n");

/** A merge of two experts with these weights. */
function merge(first: string, second: string, ...more: readonly string[]): string {
  return [
    "recipe:",
    "  merge_method: ties",
    "  base_model: base",
    "  models:",
    `    - {model: experts/rotated, parameters: {weight: ${first}}}`,
    `    - {model: experts/inverted, parameters: {weight: ${second}}}`,
    ...more,
    rest,
  ].join("\n");
}

const unit = { kind: "range", low: 0, high: 1, scale: "linear" };

test.each<[what: string, text: string, space: unknown]>([
  [
    "a value of each model",
    merge("{range: [0, 1]}", "{range: [0, 1], start: 1}"),
    [
      { name: "rotated weight", model: "experts/rotated", ...unit },
      { name: "inverted weight", model: "experts/inverted", ...unit, start: 1 },
    ],
  ],
  ["one value for two models", merge("$w", "$w", "parameters: {w: {range: [0, 1]}}"), [{ name: "w", ...unit }]],
  [
    "aliases, which are places of their own",
    merge("&w {range: [0, 1]}", "*w"),
    [
      { name: "rotated weight", model: "experts/rotated", ...unit },
      { name: "inverted weight", model: "experts/inverted", ...unit },
    ],
  ],
  [
    "scales, whole numbers and names",
    merge("{range: [0.01, 1], scale: log}", "1", "  parameters: {lambda: {range: [1, 4], integer: true, name: size}}"),
    [
      { name: "rotated weight", model: "experts/rotated", ...unit, low: 0.01, scale: "log" },
      { name: "size", ...unit, low: 1, high: 4, step: 1 },
    ],
  ],
  [
    "choices of methods, of switches and of seeds",
    merge("1", "1", "  parameters: {normalize: {choices: [true, false]}}", "  seed: {choices: [0, 7]}").replace(
      "merge_method: ties",
      "merge_method: {choices: [ties, dare_ties], start: dare_ties}",
    ),
    [
      { name: "merge_method", kind: "choice", values: ["ties", "dare_ties"], start: "dare_ties" },
      { name: "normalize", kind: "choice", values: [true, false] },
      { name: "seed", kind: "choice", values: [0, 7] },
    ],
  ],
  [
    "filters and gradients",
    merge(
      "[{filter: attention, value: {range: [0, 1]}}, {value: {range: [0, 1]}}]",
      "[{range: [0, 1]}, 0.5, {range: [0, 1]}]",
    ),
    [
      { name: "rotated weight attention", model: "experts/rotated", group: "attention", ...unit },
      { name: "rotated weight other", model: "experts/rotated", group: "other", ...unit },
      { name: "inverted weight 1", model: "experts/inverted", ...unit },
      { name: "inverted weight 3", model: "experts/inverted", ...unit },
    ],
  ],
  [
    "groups of layers",
    merge(
      "{range: [0, 1], groups: 3}",
      "{range: [0, 1], groups: {attention: attention, ends: [embeddings, classifier]}}",
    ),
    [
      ...["layers 0-1", "layer 2", "layer 3", "other"].map((group) => {
        return { name: `rotated weight ${group}`, model: "experts/rotated", group, ...unit };
      }),
      ...["attention", "ends", "other"].map((group) => {
        return { name: `inverted weight ${group}`, model: "experts/inverted", group, ...unit };
      }),
    ],
  ],
])("the space of %s", async (_, text, space) => {
  expect((await parseSweep(text, file)).space).toEqual(space);
});

test("a value of its own for each tensor", async () => {
  const { space } = await parseSweep(merge("{range: [0, 1], groups: tensor}", "1"), file);
  expect(space).toHaveLength(72);
  expect(space.map(({ group }) => group)).toContain("vit.encoder.layer.3.output.dense.weight");
});

test("a recipe in a file of its own, with values put in", async () => {
  const set = 'set: {parameters.lambda: {range: [0, 2]}, "models[1].parameters.weight": {choices: [0, 1]}}';
  const { space, template } = await parseSweep(`recipe: recipes/ties.yaml\n${set}\n${rest}`, file);
  expect(space).toEqual([
    { name: "inverted weight", kind: "choice", values: [0, 1], model: "../experts/inverted" },
    { name: "lambda", ...unit, high: 2 },
  ]);
  expect(template.file).toBe(`${repositoryPath("examples", "digits", "recipes")}/sweep.recipe.yaml`);
  const text = template.render({ lambda: 0.25, "inverted weight": 0 });
  expect(text).toContain("# What each expert learnt");
  expect(text).toContain("lambda: 0.25");
});

test("what a sweep does not say has its default", async () => {
  const spec = await parseSweep(merge("{range: [0, 1]}", "1"), file);
  expect(spec).toMatchObject({
    objectives: [{ name: "mean acc", of: "mean", weight: 1, kind: "metric", metric: undefined }],
    ...{ constraints: [], seed: 0, parallel: 8, budget: { trials: 9 } },
    tasks: { only: undefined, limit: undefined, shuffle: false, holdOut: undefined, rungs: [] },
  });
  expect(spec.search.kind.name).toBe("tpe");
  expect(spec.template.models).toEqual([
    { name: "base", isBase: true },
    { name: "experts/rotated", isBase: false },
    { name: "experts/inverted", isBase: false },
  ]);
  expect([...spec.tasks.experts]).toEqual([
    ["rotated", "experts/rotated"],
    ["inverted", "experts/inverted"],
  ]);
});

test("a search that follows its loss alone says so of constraints", async () => {
  const text = `${merge("{range: [0, 1]}", "1")}\nobjective: {loss: entropy}\nconstraints: [{at_least: 0.5}]`;
  expect((await parseSweep(text, file)).warnings).toEqual([]);
  const { warnings = [] } = await parseSweep(text.replace("search: tpe", "search: adamerging"), file);
  expect(warnings.map((warning) => warning.replace(file, "sweep.yaml"))).toEqual([
    expect.stringMatching(/^sweep.yaml:\d+:9 {2}Search "adamerging" follows its loss alone: constraints count only/),
  ]);
});

test("what a sweep says is what there is", async () => {
  const text = [
    merge("{range: [0, 1]}", "1").replace("tasks: tasks.yaml\n", "").replace("search: tpe", "search: {kind: random}"),
    "tasks: {file: tasks.yaml, only: [noisy, rotated], limit: 90, hold_out: 0.5, rungs: [0.1, 0.5], experts: {noisy: inverted}}",
    "objectives: [{of: rotated, metric: logprob, weight: 2}, worst, {loss: entropy}]",
    "constraints: [{of: noisy, at_least: 0.5, at_most: 0.9}]",
    "seed: 3",
    "parallel: 4",
  ].join("\n");
  const spec = await parseSweep(text, file);
  expect(spec).toMatchObject({ seed: 3, parallel: 4 });
  expect(spec.tasks).toMatchObject({
    only: ["rotated", "noisy"],
    limit: 90,
    holdOut: 0.5,
    rungs: [0.1, 0.5],
    shuffle: true,
  });
  expect(spec.tasks.experts.get("noisy")).toBe("experts/inverted");
  expect(spec.objectives.map(({ name, weight }) => [name, weight])).toEqual([
    ["rotated logprob", 2],
    ["worst acc", 1],
    ["entropy", 1],
  ]);
  expect(spec.constraints).toMatchObject([{ name: "noisy acc ≥ 0.5 ≤ 0.9", atLeast: 0.5, atMost: 0.9 }]);
});
