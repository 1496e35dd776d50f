import { expect, test } from "vitest";
import { narrow, widen } from "../../../../../shared/checkpoint/convert.js";
import { type ComputableDtype, computableDtypes } from "../../../../../shared/checkpoint/dtypes.js";
import { Graph } from "../../../../../shared/expression/expression.js";
import { blockElements } from "../../../../../shared/expression/statistics.js";
import { runCompiled } from "../../../../support/pieces.js";
import { normals, seeded } from "../../../../support/random.js";

/** Beyond what bf16 holds, but an f32. */
const beyondBf16 = 3.4e38;

const graph = new Graph();
const [a, b] = [graph.input(), graph.input()];
const sum = graph.finish(a.plus(b));

function countOf(values: Float32Array): number {
  return values.filter((x) => !Number.isFinite(x)).length;
}

test.each(computableDtypes)("a receipt says what is not finite in %s, and how large the output is", (dtype) => {
  // Several blocks of one dtype are enough: a block knows nothing of the others.
  const elements = (dtype === "BF16" ? blockElements : 500) + 37;
  const broken: readonly [name: string, places: readonly number[], value: number][] = [
    ["nothing", [], 0],
    ["NaN in the first vector", [2], Number.NaN],
    ["−NaN in the second half of a pair", [elements - 40], -Number.NaN],
    ["∞ in the tail alone", [elements - 1], Infinity],
    ["−∞ in the first and the last block", [0, 1, elements - 2], -Infinity],
  ];
  for (const [name, places, value] of broken) {
    const inputs = [normals(elements, seeded(1)), normals(elements, seeded(2))] as const;
    for (const place of places) inputs[1][place] = value;
    // What the kernels see: E4M3 has no infinity.
    const seen = inputs.map((values) => widen(dtype, narrow(dtype, values)));
    const sums = Float32Array.from(seen[0] ?? [], (x, i) => x + (seen[1]?.[i] ?? 0));
    const { piece } = runCompiled({ program: sum, inputs, dtypes: [dtype, dtype], outputDtype: "F32" });
    expect({ name, ...piece }).toMatchObject({
      nonFinite: countOf(sums),
      overflowed: 0,
      inputsNonFinite: seen.map(countOf),
      largest: sums.reduce((most, x) => (Number.isNaN(x) ? most : Math.max(most, Math.abs(x))), 0),
    });
  }
});

test.each([
  ["BF16", beyondBf16, 1],
  ["F16", 65_520, 1],
  ["F16", 65_519, 0],
  ["F8_E4M3", 465, 1],
  ["F8_E4M3", 464, 0],
  ["F8_E5M2", -61_440, 1],
  ["F32", beyondBf16, 0],
] as const)(
  "an output in %s of %d is counted as overflowing %d times",
  (outputDtype: ComputableDtype, value, overflowed) => {
    const inputs = [new Float32Array(21).fill(value, 20), new Float32Array(21)];
    const { piece } = runCompiled({ program: sum, inputs, outputDtype });
    expect(piece).toMatchObject({ overflowed, nonFinite: 0, largest: Math.fround(Math.abs(value)) });
  },
);

test("lanes behind the last element are not looked at", () => {
  const broken = new Float32Array(64).fill(Number.NaN);
  runCompiled({ program: sum, inputs: [broken, broken] });
  const few = new Float32Array(5).fill(1);
  const { piece } = runCompiled({ program: sum, inputs: [few, few] });
  expect(piece).toMatchObject({ nonFinite: 0, inputsNonFinite: [0, 0], largest: 2 });
});
