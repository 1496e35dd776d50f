import { expect, test } from "vitest";
import type { RecipeLayers } from "../../../../../../coordinator/sweep/layers/types.js";
import type { Descent } from "../../../../../../coordinator/sweep/search/learning/descent.js";
import { layerRegression } from "../../../../../../coordinator/sweep/search/learning/layer-regression.js";
import { none } from "../../../../../../coordinator/sweep/search/learning/regulariser.js";
import { bestStart, startNeeds } from "../../../../../../coordinator/sweep/search/learning/starts.js";
import { Random } from "../../../../../../coordinator/sweep/search/random.js";
import type { Outcome, SearchContext } from "../../../../../../coordinator/sweep/search/searching.js";
import type { Space } from "../../../../../../coordinator/sweep/space.js";

const space: Space = ["a", "b"].map((name) => {
  return { kind: "range", name, low: 0, high: 1.5, scale: "linear", start: 0.3 };
});

/** Both experts change every input alike, so that the closed form is their mean. */
const layers: RecipeLayers = {
  models: ["expert a", "expert b"],
  tensors: [
    {
      name: "layers.0.up.weight",
      coefficients: ["a", "b"].map((dimension) => ({ dimension, factor: 1 })),
      moments: [0, 1].map((expert) => ({
        expert,
        products: [
          [4, 0],
          [0, 4],
        ],
      })),
    },
  ],
};

const notes: string[] = [];
const context: SearchContext = {
  ...{ space, objectives: 1, width: 8, rungs: [20], experts: new Map([["task", "expert a"]]), layers },
  random: (stream) => new Random(0, stream),
  note: (message) => notes.push(message),
};

/** Losses by how far the first number is from a place; a string is a failure. */
function begin(best: number, fails: (x: number) => boolean = () => false) {
  const asked: string[] = [];
  const descent: Descent = {
    ...{ box: { low: Float64Array.of(0, 0), high: Float64Array.of(1.5, 1.5) }, names: ["a", "b"], regulariser: none },
    request: (x, label) => ({ point: { a: x[0] ?? 0, b: x[1] ?? 0 }, label }),
    loss: (outcome) => (outcome.failure === undefined ? Math.abs(Number(outcome.point["a"]) - best) : Number.NaN),
    note: () => undefined,
  };
  const starting = bestStart(context, { start: "regression", examples: 8 }, descent, Float64Array.of(0.1, 0.1));
  const first = starting.next().value;
  if (!("kind" in first) || first.kind !== "start") throw new Error("It starts nothing");
  const { requests } = first;
  asked.push(...requests.map(({ label = "" }) => label));
  starting.next(requests.map((_, i) => i + 1));
  const outcomes = requests.map(({ point }, i): Outcome => {
    const known = { trial: i + 1, point, rung: 0, losses: [0], loss: 0, violation: 0, examples: new Map() };
    return fails(Number(point["a"])) ? { ...known, failure: "out of memory" } : known;
  });
  const end = starting.next(outcomes);
  return { asked, x: end.value as Float64Array };
}

test("begins where the loss is smallest: at the paper's start, or at a multiple of the closed form", () => {
  const { asked, x } = begin(0);
  expect(asked[0]).toBe("start");
  expect(asked.slice(1)).toEqual([1, 1.19, 1.41, 1.68, 2].map((factor) => `regression × ${factor}`));
  expect([...x]).toEqual([0.1, 0.1]);
  // The mean, drawn to 0.3 by a hundredth.
  const mean = (1 + 0.01 * 2 * 0.3) / (2 + 0.01 * 2);
  expect(begin(0.5).x[0]).toBeCloseTo(mean, 9);
  expect(begin(9).x[0]).toBeCloseTo(2 * mean, 9);
});

test("does not begin where the trial failed, unless all did", () => {
  expect(begin(9, (x) => x > 0.9).x[0]).toBeLessThan(0.9);
  expect([...begin(0, (x) => x < 0.2).x]).not.toEqual([0.1, 0.1]);
  expect([...begin(0, () => true).x]).toEqual([0.1, 0.1]);
});

test("one model's layers that no task shows are told of", () => {
  const [tensor] = layers.tensors;
  const half = { ...layers, tensors: tensor === undefined ? [] : [{ ...tensor, moments: tensor.moments.slice(0, 1) }] };
  const told: string[] = [];
  const search = layerRegression.search(
    { ...context, layers: half, note: (message) => told.push(message) },
    { examples: 8, gamma: 0.01, multiples: 1 },
  );
  const first = search.next().value;
  expect(first).toMatchObject({ kind: "start", requests: [{ label: "regression × 1" }, { label: "start" }] });
  expect(told).toEqual(['No task has these experts, whose layers are not reproduced: "expert b"']);
});

test("layers are asked for where the closed form is wanted, which needs experts and ranges", () => {
  expect([startNeeds.layers({ start: "own" }), startNeeds.layers({ start: "regression" })]).toEqual([false, true]);
  const nobody = { ...context, experts: new Map<string, string>() };
  expect(startNeeds.refuses(nobody, { start: "regression" })).toContain("no task has an expert");
  expect(startNeeds.refuses(nobody, { start: "own" })).toBeUndefined();
  expect(layerRegression.refuses?.(nobody, {})).toContain("no task has an expert");
  const stepped: Space = space.map((dimension) => ({ ...dimension, step: 0.1 }) as Space[number]);
  expect(layerRegression.refuses?.({ ...context, space: stepped }, {})).toContain("moves in steps");
});
