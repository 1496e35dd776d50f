import { Matrix as Dense, solve } from "ml-matrix";
import { expect, test } from "vitest";
import {
  coefficientsOfLayer,
  normalEquations,
} from "../../../../../../coordinator/sweep/search/learning/closed-form.js";
import { Random } from "../../../../../../coordinator/sweep/search/random.js";
import { type Matrix, multiply, transpose } from "../../../../../../shared/linalg/matrix.js";

function randomMatrix(random: Random, rows: number, columns: number, scale = 1): Matrix {
  return { rows, columns, data: Float64Array.from({ length: rows * columns }, () => scale * random.normal()) };
}

function problem(seed: number, experts: number) {
  const random = new Random(seed, "layer");
  // Experts that moved by very different lengths.
  const taskVectors = Array.from({ length: experts }, (_, k) => randomMatrix(random, 4, 6, 10 ** (k - 1)));
  const inputs = Array.from({ length: experts }, () => randomMatrix(random, 20, 6));
  const grams = inputs.map((x) => multiply(transpose(x), x));
  return { taskVectors, inputs, grams, prior: new Float64Array(experts).fill(0.3) };
}

test.each([1, 2, 3])("coefficients are those of least squares over all outputs of all tasks, seed %i", (seed) => {
  const { taskVectors, inputs, grams, prior } = problem(seed, 3);
  const found = coefficientsOfLayer({ taskVectors, grams, prior });
  // One row for every output of every input, with the weight that its task has, then the pull to the prior.
  const rows: number[][] = [];
  const targets: number[] = [];
  for (const [k, x] of inputs.entries()) {
    const outputs = taskVectors.map((vector) => multiply(x, transpose(vector)).data);
    const own = outputs[k] ?? new Float64Array();
    const beta = 1 / own.reduce((sum, value) => sum + value ** 2, 0);
    for (const [row, target] of own.entries()) {
      rows.push(outputs.map((output) => Math.sqrt(beta) * (output[row] ?? 0)));
      targets.push(Math.sqrt(beta) * target);
    }
  }
  const trace = rows.flat().reduce((sum, value) => sum + value ** 2, 0);
  for (const [i, value] of prior.entries()) {
    const pull = Math.sqrt((0.01 * trace) / 3);
    rows.push(Array.from(prior, (_, j) => (i === j ? pull : 0)));
    targets.push(pull * value);
  }
  const expected = solve(new Dense(rows), Dense.columnVector(targets), true).to1DArray();
  for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i] ?? 0, 8);
});

test("one expert gets itself back, and the prior stands where nothing moved or nothing was seen", () => {
  const { taskVectors, grams } = problem(1, 1);
  const prior = Float64Array.of(0.3);
  expect(coefficientsOfLayer({ taskVectors, grams, prior, gamma: 0 })[0]).toBeCloseTo(1, 12);
  const nothing = (one: Matrix): Matrix => ({ ...one, data: one.data.map(() => 0) });
  expect([...coefficientsOfLayer({ taskVectors: taskVectors.map(nothing), grams, prior })]).toEqual([0.3]);
  expect([...coefficientsOfLayer({ taskVectors, grams: grams.map(nothing), prior })]).toEqual([0.3]);
});

test("experts that change different inputs are both taken whole, however unequal they are", () => {
  const vector = (at: number, size: number): Matrix => ({
    rows: 1,
    columns: 2,
    data: Float64Array.from([0, 1], (i) => (i === at ? size : 0)),
  });
  const gram = (at: number): Matrix => ({
    rows: 2,
    columns: 2,
    data: Float64Array.from([0, 1, 2, 3], (i) => (i === 3 * at ? 5 : 0)),
  });
  const both = { taskVectors: [vector(0, 0.001), vector(1, 100)], grams: [gram(0), gram(1)] };
  expect([...normalEquations(both.taskVectors, both.grams).b]).toEqual([1, 1]);
  for (const value of coefficientsOfLayer({ ...both, prior: Float64Array.of(0, 0), gamma: 1e-9 }))
    expect(value).toBeCloseTo(1, 6);
});
