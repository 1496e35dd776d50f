import { expect, test } from "vitest";
import { layerProducts } from "../../../../../coordinator/sweep/layers/moments.js";
import { Random } from "../../../../../coordinator/sweep/search/random.js";
import { type Matrix, multiply, transpose } from "../../../../../shared/linalg/matrix.js";

function randomMatrix(random: Random, rows: number, columns: number): Matrix {
  return { rows, columns, data: Float64Array.from({ length: rows * columns }, () => random.normal()) };
}

test.each([1, 4, 6, 7])("products are traces of τ XᵀX τᵀ, for %i outputs", (outputs) => {
  const random = new Random(outputs, "layer");
  const inputs = randomMatrix(random, 9, 5);
  const taskVectors = [0, 1, 2].map(() => randomMatrix(random, outputs, 5));
  const gram = multiply(transpose(inputs), inputs);
  const found = layerProducts(inputs, taskVectors);
  for (const [i, a] of taskVectors.entries()) {
    for (const [j, b] of taskVectors.entries()) {
      const product = multiply(multiply(a, gram), transpose(b));
      const trace = Array.from({ length: outputs }, (_, k) => product.data[k * outputs + k] ?? 0);
      expect(found[i]?.[j]).toBeCloseTo(
        trace.reduce((sum, value) => sum + value, 0),
        9,
      );
    }
  }
  expect(found[1]?.[2]).toBe(found[2]?.[1]);
});
