import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseRecipe } from "../../../../../coordinator/recipe/parse.js";
import { parseSweep, readSweep } from "../../../../../coordinator/sweep/spec/read.js";
import type { SweepSpec } from "../../../../../coordinator/sweep/types.js";
import { AmalgamError } from "../../../../../shared/errors.js";
import { randomTensor, writeCheckpoint } from "../../../../support/checkpoints.js";
import { repositoryPath } from "../../../../support/repository.js";

const rest = "\ntasks: digits/tasks.yaml\nsearch: random\nbudget: {trials: 1}\n";

let work = "";
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), "amalgam-sweep-"));
  await symlink(repositoryPath("examples", "digits"), join(work, "digits"));
});
afterAll(async () => rm(work, { recursive: true }));

function parse(text: string): Promise<SweepSpec> {
  return parseSweep(text + rest, join(work, "sweep.yaml"));
}

async function complaintsOf(text: string): Promise<readonly string[]> {
  const error = await parse(text).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof AmalgamError)) throw error ?? new Error("no error");
  return error.message.replaceAll(`${work}/`, "").split("\n");
}

test("aliases and merged mappings have values of their own", async () => {
  const { space, template } = await parse(`recipe:
  merge_method: task_arithmetic
  base_model: digits/base
  models:
    - &one
      model: digits/experts/rotated # turned
      parameters: &own { weight: { range: [0, 1] } }
    - <<: *one
      model: digits/experts/inverted
    - model: digits/experts/noisy
      parameters: *own
`);
  expect(space.map(({ name }) => name)).toEqual(["rotated weight", "inverted weight", "noisy weight"]);
  expect(
    template.render({ "rotated weight": 0.1, "inverted weight": 0.2, "noisy weight": 0.3 }),
  ).toBe(`merge_method: task_arithmetic
base_model: digits/base
models:
  - model: digits/experts/rotated # turned
    parameters: { weight: 0.1 }
  - model: digits/experts/inverted
    parameters: { weight: 0.2 }
  - model: digits/experts/noisy
    parameters: { weight: 0.3 }
`);
});

test("a shared value in groups has the same groups in every place", async () => {
  const { space, template } = await parse(`parameters: {w: {range: [0, 1], groups: {blocks: encoder}}}
recipe:
  merge_method: linear
  models:
    - {model: digits/experts/rotated, parameters: {weight: $w}}
    - {model: digits/experts/inverted, parameters: {weight: $w}}
`);
  expect(space.map(({ name }) => name)).toEqual(["w blocks", "w other"]);
  const recipe = parseRecipe(template.render({ "w blocks": 0.2, "w other": 0.7 }), "recipe.yaml");
  const weights = recipe.modules[0]?.slices[0]?.sources.map(({ parameters }) => parameters.get("weight")?.value);
  expect(weights).toMatchObject(
    [0, 1].map(() => ({
      kind: "filters",
      entries: [
        { filter: "encoder", setting: { value: 0.2 } },
        { filter: undefined, setting: { value: 0.7 } },
      ],
    })),
  );
});

test("groups of a source have the layers that the recipe takes of it", async () => {
  const { space } = await parse(`recipe:
  merge_method: linear
  slices:
    - sources:
        - {model: digits/experts/rotated, layer_range: [0, 2], parameters: {weight: 1}}
        - {model: digits/experts/inverted, layer_range: [1, 3], parameters: {weight: {range: [0, 1], groups: layer}}}
    - sources:
        - {model: digits/experts/rotated, layer_range: [2, 4], parameters: {weight: {range: [0, 1]}}}
        - {model: digits/experts/inverted, layer_range: [2, 4], parameters: {weight: {range: [0, 1]}}}
`);
  const names = ["layer 1", "layer 2", "other"].map((group) => `inverted weight ${group}`);
  expect(space.map(({ name }) => name)).toEqual([...names, "rotated weight", "inverted weight"]);
});

test("a choice of models has all of them opened and named", async () => {
  const { space, template } = await parse(`recipe:
  merge_method: linear
  models:
    - {model: $expert, parameters: {weight: 1}}
    - {model: digits/base, parameters: {weight: {range: [0, 1]}}}
parameters: {expert: {choices: [digits/experts/rotated, digits/experts/noisy]}}
`);
  expect(space.map(({ name }) => name)).toEqual(["expert", "base weight"]);
  expect(template.models.map(({ name }) => name).toSorted()).toEqual([
    "digits/base",
    "digits/experts/noisy",
    "digits/experts/rotated",
  ]);
});

test("mistakes in a recipe's own file are told with its places, those of what is put in with the sweep's", async () => {
  const recipe = `merge_method: ties
base_model: digits/base
models:
  - model: digits/experts/rotated
    parameters: {weight: 1, densty: 0.5}
parameters: {lambda: {range: [2, 1]}}
`;
  await writeFile(join(work, "bad.yaml"), recipe);
  expect(await complaintsOf("recipe: bad.yaml\nset: {parameters.normalize: {choices: [true, 3]}}")).toEqual([
    'sweep.yaml:2:29  Parameter "normalize" must be true or false, found the number 3',
    'bad.yaml:5:29  Unknown parameter "densty": method "ties" takes "weight", "density", "lambda", "normalize", "rescale", "scope", did you mean "density"?',
    "bad.yaml:6:30  Range [2, 1] is empty: the first number must be the smaller one",
  ]);
});

test("a recipe of several documents is refused", async () => {
  const documents =
    "merge_method: linear\nname: x\nmodels: [{model: a}]\n---\nmerge_method: linear\nmodels: [{model: x}]\n";
  await writeFile(join(work, "two.yaml"), documents);
  expect(await complaintsOf("recipe: two.yaml")).toEqual([
    'sweep.yaml:1:9  Recipe "two.yaml" has several documents, and a sweep is of one: merge the earlier ones first',
  ]);
});

test("a recipe that would be too long with its values is refused", async () => {
  const tensors = Array.from(
    { length: 500 },
    (_, i) => [`${"x".repeat(500)}${i}`, randomTensor(i, [1], "F32")] as const,
  );
  await writeCheckpoint(join(work, "long"), Object.fromEntries(tensors));
  const recipe =
    "recipe: {merge_method: linear, models: [{model: long, parameters: {weight: {range: [0, 1], groups: tensor}}}]}";
  const [complaint = ""] = await complaintsOf(recipe);
  expect(complaint).toMatch(
    /^sweep\.yaml:1:1 {2}The recipe has up to \d+ bytes with its values, more than the limit of 262144: use fewer groups$/,
  );
});

test("tasks that are held out must be those that are searched with", async () => {
  await writeFile(join(work, "held.yaml"), 'tasks: {rotated: {kind: perplexity, data: held.jsonl, text: "{{x}}"}}');
  await writeFile(join(work, "held.jsonl"), '{"x": "a"}\n');
  const text = "recipe: {merge_method: linear, models: [{model: digits/base, parameters: {weight: {range: [0, 1]}}}]}";
  const tasks =
    "tasks: {file: digits/tasks.yaml, only: [rotated, noisy], hold_out: held.yaml}\nsearch: random\nbudget: {trials: 1}";
  await writeFile(join(work, "held-out.yaml"), `${text}\n${tasks}\n`);
  await expect(readSweep(join(work, "held-out.yaml"))).rejects.toMatchObject({
    code: "recipe_invalid",
    message: [
      `${work}/held-out.yaml:2:68  Task "rotated" is of kind "perplexity" in the task file of "hold_out", elsewhere "classification"`,
      `${work}/held-out.yaml:2:68  The task file of "hold_out" has no task "noisy"`,
    ].join("\n"),
  });
});

test("a file that is not there", async () => {
  await expect(readSweep(join(work, "none.yaml"))).rejects.toMatchObject({ code: "usage" });
});
