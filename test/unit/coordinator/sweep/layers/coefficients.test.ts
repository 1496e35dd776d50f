import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCoefficients } from "../../../../../coordinator/sweep/layers/coefficients.js";
import type { Point, Space } from "../../../../../coordinator/sweep/space.js";
import { RecipePlanner } from "../../../../../coordinator/sweep/trials/recipe-planner.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { writeSmallModels } from "../../../../support/small-models.js";

let folder: Awaited<ReturnType<typeof withTempDir>>;
beforeAll(async () => {
  folder = await withTempDir();
  await writeSmallModels(folder.path);
});
afterAll(() => folder[Symbol.asyncDispose]());

const range = { kind: "range", low: 0, high: 1.5, scale: "linear" } as const;

interface Recipe {
  readonly method?: string;
  readonly base?: string;
  readonly math: string;
  readonly code?: string;
  readonly parameters?: string;
}

/** The coefficients of a recipe whose values are words with a dollar sign before a dimension's name. */
function read(
  space: Space,
  { method = "task_arithmetic", base = "base_model: base", math, code = "1", parameters = "{}" }: Recipe,
) {
  const planner = new RecipePlanner(join(folder.path, "recipe.yaml"));
  return readCoefficients(space, async (point: Point) => {
    const text = `merge_method: ${method}
${base}
models:
  - {model: math, parameters: {weight: ${math}}}
  - {model: code, parameters: {weight: ${code}}}
parameters: ${parameters}
dtype: float32
`;
    return (await planner.plan(text.replace(/\$(\w+)/g, (_, name: string) => String(point[name])))).plan;
  });
}

test("weights count as often as lambda says, by tensor, and what does not vary is a constant", async () => {
  const space = [
    { ...range, name: "up", model: "math", group: "up" },
    { ...range, name: "rest", model: "math", group: "other" },
  ];
  const math = "[{filter: up, value: $up}, {value: $rest}]";
  const { models, tensors } = await read(space, { math, code: "0.7", parameters: "{lambda: 0.5}" });
  expect(models).toEqual(["math", "code"]);
  expect(Object.fromEntries(tensors.map(({ name, coefficients }) => [name, coefficients]))).toEqual({
    "layers.0.up": [{ dimension: "up", factor: expect.closeTo(0.5, 9) }, { factor: expect.closeTo(0.35, 9) }],
    norm: [{ dimension: "rest", factor: expect.closeTo(0.5, 9) }, { factor: expect.closeTo(0.35, 9) }],
  });
});

test("one dimension may stand for several models, lambda among them", async () => {
  const shared = await read([{ ...range, name: "lambda" }], { math: "2", parameters: "{lambda: $lambda}" });
  for (const { coefficients } of shared.tensors) {
    expect(coefficients).toEqual([
      { dimension: "lambda", factor: expect.closeTo(2, 9) },
      { dimension: "lambda", factor: expect.closeTo(1, 9) },
    ]);
  }
});

const weights = ["math", "code"].map((model) => ({ ...range, name: model, model }));

test.each<{ readonly what: string; readonly recipe: Partial<Recipe>; readonly problem: string }>([
  { what: "signs are elected", recipe: { method: "ties" }, problem: "does more than add" },
  { what: "the smallest are dropped", recipe: { method: "ties", parameters: "{density: 0.5}" }, problem: "does more" },
  { what: "some are dropped", recipe: { method: "dare_linear", parameters: "{density: 0.5}" }, problem: "at random" },
  { what: "weights are normalized", recipe: { parameters: "{normalize: true}" }, problem: "not one of the parameters" },
  {
    what: "nothing is added to a base",
    recipe: { method: "linear", base: "", parameters: "{normalize: false}" },
    problem: "not added to the base",
  },
])("a recipe is refused in which $what", async ({ recipe, problem }) => {
  const asked = read(weights, { math: "$math", code: "$code", ...recipe });
  await expect(asked).rejects.toMatchObject({ code: "usage", message: expect.stringContaining(problem) });
});

test("a recipe is refused in which two dimensions multiply one model", async () => {
  const space = [...weights, { ...range, name: "lambda" }];
  const asked = read(space, { math: "$math", code: "$code", parameters: "{lambda: $lambda}" });
  await expect(asked).rejects.toMatchObject({ code: "usage", message: expect.stringContaining('"math"') });
});
