import { expect, test } from "vitest";
import { statisticsNeeds } from "../../../../shared/expression/statistics-needs.js";
import { planOf, recipeFor } from "../../../support/planning.js";

const tensors = { w: ["F32", [8, 8]] } as const;
const models = { base: tensors, a: tensors, b: tensors };

/** The parameters that the statistics of a method follow from, by name, and whether they are random. */
function needsOf(method: string, each: string, { rest = "", base = "base" }: { rest?: string; base?: string } = {}) {
  const recipe = recipeFor(method, ["a", "b"], { each, ...(base === "" ? {} : { base }), rest });
  const [program] = planOf(recipe, models).programs;
  if (program === undefined) throw new Error("There is no program");
  const { parameters, isRandom } = statisticsNeeds(program);
  return { names: [...parameters].map((slot) => program.parameters[slot]).sort(), isRandom };
}

const densities = ['density of "a"', 'density of "b"'];

test.each<{
  readonly method: string;
  readonly each: string;
  readonly more?: { readonly rest?: string; readonly base?: string };
  readonly names: readonly string[];
  readonly isRandom: boolean;
}>([
  // Trimming ranks by magnitude alone; weights and lambda come after.
  { method: "ties", each: "weight: 0.7, density: 0.5", names: densities, isRandom: false },
  // What was dropped at random is made up for by its norm, as mergekit does.
  { method: "dare_linear", each: "weight: 0.7, density: 0.5", names: densities, isRandom: true },
  {
    ...{ method: "dare_linear", each: "weight: 0.7, density: 0.5", names: [], isRandom: false },
    more: { rest: "parameters: { rescale: none }" },
  },
  {
    ...{ method: "della", each: "weight: 0.7, density: 0.5, epsilon: 0.1", isRandom: true },
    names: [...densities, 'epsilon of "a"', 'epsilon of "b"'],
  },
  { method: "task_arithmetic", each: "weight: 0.7", names: [], isRandom: false },
  { method: "linear", each: "weight: 0.7", more: { base: "" }, names: [], isRandom: false },
])("the statistics of $method ($more) follow from $names", ({ method, each, more, names, isRandom }) => {
  expect(needsOf(method, each, more)).toEqual({ names, isRandom });
});

test("the angle between task vectors follows from no parameter", () => {
  const { names, isRandom } = needsOf("model_stock", "");
  expect([names, isRandom]).toEqual([[], false]);
});
