import { expect, test } from "vitest";
import { slerpChain } from "../../../../../../coordinator/sweep/search/learning/slerp-chain.js";
import { Random } from "../../../../../../coordinator/sweep/search/random.js";

type Vector = readonly number[];

const dot = (u: Vector, v: Vector): number => u.reduce((sum, value, i) => sum + value * (v[i] ?? 0), 0);
const angle = (u: Vector, v: Vector): number => Math.acos(dot(u, v) / Math.sqrt(dot(u, u) * dot(v, v)));

/** On whole vectors, as the paper has it. */
function slerp(u: Vector, v: Vector, t: number): Vector {
  const omega = angle(u, v);
  const [a, b] = [Math.sin((1 - t) * omega) / Math.sin(omega), Math.sin(t * omega) / Math.sin(omega)];
  return u.map((value, i) => a * value + b * (v[i] ?? 0));
}

function vectors(seed: number, count: number, length: number): readonly Vector[] {
  const random = new Random(seed, "task vectors");
  const common = Array.from({ length }, () => random.normal());
  // Of different lengths, and not orthogonal.
  return Array.from({ length: count }, (_, k) => common.map((value) => (k + 1) * (0.5 * value + random.normal())));
}

test.each([1, 2, 3])("the multiples give what interpolating whole vectors gives, seed %i", (seed) => {
  const random = new Random(seed, "weights");
  const all = vectors(seed, 5, 40);
  const weights = all.map(() => 0.05 + random.uniform());
  let direct = all[0] ?? [];
  for (let j = 1; j < all.length; j += 1) {
    const mean = weights.slice(0, j).reduce((sum, value) => sum + value, 0) / j;
    const own = weights[j] ?? 0;
    direct = slerp(direct, all[j] ?? [], own / (own + mean));
  }
  const gram = all.map((u) => all.map((v) => dot(u, v)));
  const multiples = slerpChain(gram, weights);
  for (const [i, value] of direct.entries()) {
    const sum = multiples.reduce((total, multiple, k) => total + multiple * (all[k]?.[i] ?? 0), 0);
    expect(sum).toBeCloseTo(value, 9);
  }
});

test("between vectors of one length on a right angle it stays on the sphere, and a weight of next to nothing leaves one out", () => {
  const gram = [
    [4, 0],
    [0, 4],
  ];
  const [a = 0, b = 0] = slerpChain(gram, [0.5, 0.5]);
  expect(4 * (a * a + b * b)).toBeCloseTo(4, 12);
  expect(a).toBeCloseTo(b, 12);
  expect(slerpChain(gram, [0, 1])[0]).toBeCloseTo(0, 12);
  expect(slerpChain(gram, [1, 0])[1]).toBeCloseTo(0, 12);
});

test("vectors that point the same way are interpolated on a line, and one without length does no harm", () => {
  expect([
    ...slerpChain(
      [
        [1, 2],
        [2, 4],
      ],
      [1, 1],
    ),
  ]).toEqual([0.5, 0.5]);
  for (const value of slerpChain(
    [
      [1, 0],
      [0, 0],
    ],
    [1, 1],
  ))
    expect(Number.isFinite(value)).toBe(true);
});
