import { Matrix as Dense, solve } from "ml-matrix";
import { expect, test } from "vitest";
import { layerProducts } from "../../../../../../coordinator/sweep/layers/moments.js";
import type { Coefficient, LayerTensor } from "../../../../../../coordinator/sweep/layers/types.js";
import { regressLayers } from "../../../../../../coordinator/sweep/search/learning/regress-layers.js";
import { Random } from "../../../../../../coordinator/sweep/search/random.js";
import type { Space } from "../../../../../../coordinator/sweep/space.js";
import { type Matrix, multiply, transpose } from "../../../../../../shared/linalg/matrix.js";

/** Ranges so wide that they do not matter, unless they are given. */
function spaceOf(names: readonly string[], start: number, [low, high] = [-100, 100]): Space {
  return names.map((name) => ({ kind: "range", name, low, high, scale: "linear", start }) as const);
}

function randomMatrix(random: Random, rows: number, columns: number, scale = 1): Matrix {
  return { rows, columns, data: Float64Array.from({ length: rows * columns }, () => scale * random.normal()) };
}

/** A linear layer, and what each expert's is given on its own task: 20 inputs, 5 in the second expert's. */
interface Layer {
  readonly taskVectors: readonly Matrix[];
  readonly inputs: readonly Matrix[];
  readonly coefficients: readonly Coefficient[];
}

function randomLayer(random: Random, coefficients: readonly Coefficient[]): Layer {
  return {
    coefficients,
    // Experts that moved by very different lengths.
    taskVectors: coefficients.map((_, k) => randomMatrix(random, 4, 6, 10 ** (k - 1))),
    inputs: coefficients.map((_, k) => randomMatrix(random, k === 1 ? 5 : 20, 6)),
  };
}

function tensorOf({ taskVectors, inputs, coefficients }: Layer, name = "layers.0.up.weight"): LayerTensor {
  const moments = inputs.map((x, expert) => ({ expert, products: layerProducts(x, taskVectors) }));
  return { name, coefficients, moments };
}

function layersOf(...tensors: readonly LayerTensor[]) {
  return { models: (tensors[0]?.coefficients ?? []).map((_, i) => `expert ${i}`), tensors };
}

/** By least squares over every output of every input: β |X (Σ c_i τ_i − τ_k)ᵀ|², then the pull to the start. */
function bruteForce(layers: readonly Layer[], names: readonly string[], start: number, gamma: number): number[] {
  const rows: number[][] = [];
  const targets: number[] = [];
  for (const { taskVectors, inputs, coefficients } of layers) {
    for (const [k, x] of inputs.entries()) {
      const outputs = taskVectors.map((vector) => multiply(x, transpose(vector)).data);
      const own = outputs[k] ?? new Float64Array();
      const weight = 1 / Math.sqrt(own.reduce((sum, value) => sum + value ** 2, 0));
      for (const [at, target] of own.entries()) {
        const row = names.map(() => 0);
        let left = target;
        for (const [i, { dimension, factor }] of coefficients.entries()) {
          const part = factor * (outputs[i]?.[at] ?? 0);
          const column = names.indexOf(dimension ?? "");
          if (column < 0) left -= part;
          else row[column] = (row[column] ?? 0) + weight * part;
        }
        rows.push(row);
        targets.push(weight * left);
      }
    }
  }
  const trace = rows.flat().reduce((sum, value) => sum + value ** 2, 0);
  const pull = Math.sqrt((gamma * trace) / names.length);
  for (const i of names.keys()) {
    rows.push(names.map((_, j) => (i === j ? pull : 0)));
    targets.push(pull * start);
  }
  return solve(new Dense(rows), Dense.columnVector(targets), true).to1DArray();
}

const names = ["a", "b", "c"];
const own: readonly Coefficient[] = names.map((dimension) => ({ dimension, factor: 1 }));

test.each([1, 2, 3])("coefficients are those of least squares over all outputs of all tasks, seed %i", (seed) => {
  const layer = randomLayer(new Random(seed, "layer"), own);
  const found = regressLayers(spaceOf(names, 0.3), layersOf(tensorOf(layer)), 0.01);
  const expected = bruteForce([layer], names, 0.3, 0.01);
  for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i] ?? 0, 8);
});

test("layers that share dimensions are solved together, with factors and with models that stay as they are", () => {
  const random = new Random(4, "layers");
  const first = randomLayer(random, [{ dimension: "a", factor: 0.5 }, { dimension: "b", factor: 2 }, { factor: 0.7 }]);
  // One dimension for two models.
  const second = randomLayer(random, [
    { dimension: "b", factor: 1 },
    { dimension: "c", factor: 1 },
    { dimension: "c", factor: -1 },
  ]);
  const layers = layersOf(tensorOf(first), tensorOf(second, "layers.1.up.weight"));
  const found = regressLayers(spaceOf(names, 0.3), layers, 0.01);
  const expected = bruteForce([first, second], names, 0.3, 0.01);
  for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i] ?? 0, 8);
});

test("layers that share nothing do not depend on each other", () => {
  const random = new Random(5, "layers");
  const [first, second] = ["0", "1"].map((at) =>
    randomLayer(random, [
      { dimension: `a${at}`, factor: 1 },
      { dimension: `b${at}`, factor: 1 },
    ]),
  ) as [Layer, Layer];
  const space = spaceOf(["a0", "b0", "a1", "b1"], 0);
  const both = regressLayers(space, layersOf(tensorOf(first), tensorOf(second, "layers.1.up.weight")), 0.1);
  const alone = [...bruteForce([first], ["a0", "b0"], 0, 0.1), ...bruteForce([second], ["a1", "b1"], 0, 0.1)];
  for (const [i, value] of both.entries()) expect(value).toBeCloseTo(alone[i] ?? 0, 8);
});

test("one expert gets itself back; the start stands where nothing moved, was seen, or was a number", () => {
  const layer = randomLayer(new Random(1, "layer"), own.slice(0, 1));
  const space = spaceOf(["a"], 0.3);
  const found = (tensor: LayerTensor): number | undefined => regressLayers(space, layersOf(tensor), 0)[0];
  expect(found(tensorOf(layer))).toBeCloseTo(1, 12);
  const nothing = (one: Matrix): Matrix => ({ ...one, data: one.data.map(() => 0) });
  expect(found(tensorOf({ ...layer, taskVectors: layer.taskVectors.map(nothing) }))).toBe(0.3);
  expect(found(tensorOf({ ...layer, inputs: layer.inputs.map(nothing) }))).toBe(0.3);
  const unknown = (one: Matrix): Matrix => ({ ...one, data: one.data.map(() => Number.NaN) });
  expect(found(tensorOf({ ...layer, inputs: layer.inputs.map(unknown) }))).toBe(0.3);
});

test("experts whose inputs lie in different subspaces are both taken whole, however unequal they are", () => {
  const [wide, long] = [new Random(2, "wide"), new Random(2, "long")];
  const within = (random: Random, from: number, size: number): Matrix => {
    const whole = randomMatrix(random, 4, 6, size);
    return { ...whole, data: whole.data.map((value, i) => (i % 6 >= from && i % 6 < from + 3 ? value : 0)) };
  };
  const layer: Layer = {
    coefficients: own.slice(0, 2),
    taskVectors: [randomMatrix(wide, 4, 6, 0.001), randomMatrix(long, 4, 6, 100)],
    inputs: [within(wide, 0, 1), within(long, 3, 1)],
  };
  // Each moved only where its own inputs are.
  const [first, second] = layer.taskVectors;
  first?.data.forEach((_, i) => {
    if (i % 6 >= 3) first.data[i] = 0;
  });
  second?.data.forEach((_, i) => {
    if (i % 6 < 3) second.data[i] = 0;
  });
  for (const value of regressLayers(spaceOf(["a", "b"], 0), layersOf(tensorOf(layer)), 0)) {
    expect(value).toBeCloseTo(1, 9);
  }
});

test("ranges hold, and the others make the best of it", () => {
  const layer = randomLayer(new Random(1, "layer"), own.slice(0, 2));
  const [free = 0] = regressLayers(spaceOf(["a", "b"], 0), layersOf(tensorOf(layer)), 0);
  const high = free / 2;
  const found = regressLayers(spaceOf(["a", "b"], 0, [-100, high]), layersOf(tensorOf(layer)), 0);
  expect(found[0]).toBe(high);
  const fixed = { ...layer, coefficients: [{ factor: high }, { dimension: "b", factor: 1 }] };
  const [expected = 0] = bruteForce([fixed], ["b"], 0, 0);
  expect(found[1]).toBeCloseTo(Math.min(high, expected), 8);
});

test("what no layer depends on gets the mean of its block, or else of its model", () => {
  const coefficients = (name: string): readonly Coefficient[] => [{ dimension: name, factor: 1 }];
  const random = new Random(1, "layers");
  const scaled = (factor: number) => {
    const layer = randomLayer(random, own.slice(0, 1));
    // The least squares solution is 1; a factor of the recipe's moves it.
    return tensorOf({ ...layer, coefficients: [{ dimension: "", factor }] });
  };
  const tensor = (name: string, dimension: string, factor: number): LayerTensor => ({
    ...scaled(factor),
    ...{ name, coefficients: [{ dimension, factor }] },
  });
  const layers = layersOf(
    tensor("m.layers.0.up.weight", "up 0", 0.5),
    tensor("m.layers.0.down.weight", "down 0", 0.25),
    tensor("m.layers.1.up.weight", "up 1", 1),
    { name: "m.layers.0.up.bias", coefficients: coefficients("bias 0"), moments: [] },
    { name: "m.layers.10.norm.weight", coefficients: coefficients("norm 10"), moments: [] },
    { name: "m.embed.weight", coefficients: [{ dimension: "embed", factor: 2 }], moments: [] },
  );
  const space = spaceOf(["up 0", "down 0", "up 1", "bias 0", "norm 10", "embed", "unused"], 0.3);
  const found = regressLayers(space, layers, 0);
  // Factor times value is 1 in every layer, and so is its mean.
  [2, 4, 1, 1, 1, 0.5, 0.3].forEach((value, i) => {
    expect(found[i]).toBeCloseTo(value, 9);
  });
});
