import { expect, test } from "vitest";
import { methods } from "../../../../shared/methods/index.js";
import { caseOf, run } from "../../../support/methods.js";
import { normals, seeded } from "../../../support/random.js";

const [rows, columns] = [400, 250];
const shape = [rows, columns];
const random = seeded(21);
const base = normals(rows * columns, random, 0.02);
const tuned = base.map((x) => x + (random() - 0.5) * 0.01);
const density = 0.5;

/** θ − θ₀ after the merge, in which the task vector has weight 1. */
function change(model: Record<string, number>, merge: Record<string, string> = { rescale: "none" }): Float32Array {
  const perModel = [{}, { weight: 1, ...model }];
  return run(caseOf("della_linear", [base, tuned], { perModel, merge, shape })).map((x, i) => x - (base[i] ?? 0));
}

/** The share of elements that are kept at each tenth of the ranks in their row. */
function keptByRank(changes: Float32Array): number[] {
  const kept = new Array<number>(10).fill(0);
  for (let row = 0; row < rows; row += 1) {
    const places = Array.from({ length: columns }, (_, column) => row * columns + column);
    const magnitude = (i: number): number => Math.abs(Math.fround((tuned[i] ?? 0) - (base[i] ?? 0)));
    places.sort((i, j) => magnitude(i) - magnitude(j));
    places.forEach((i, place) => {
      if (changes[i] !== 0)
        kept[Math.floor((10 * place) / columns)] = (kept[Math.floor((10 * place) / columns)] ?? 0) + 1;
    });
  }
  return kept.map((count) => count / ((rows * columns) / 10));
}

test("della keeps an element the likelier, the higher it ranks in its row: from density − ε to density + ε", () => {
  keptByRank(change({ density, epsilon: 0.2 })).forEach((share, tenth) => {
    // 10,000 draws a tenth: four standard deviations are 0.02.
    expect(Math.abs(share - (density - 0.2 + 0.4 * ((tenth + 0.5) / 10)))).toBeLessThan(0.02);
  });
});

test("della with epsilon 0 keeps every rank at the density, as DARE does", () => {
  for (const share of keptByRank(change({ density, epsilon: 0 }))) expect(Math.abs(share - density)).toBeLessThan(0.02);
});

test("a density of 1 keeps all, one of 0 nothing, whatever epsilon is", () => {
  const all = change({ density: 1, epsilon: 0.4 }, { rescale: "l1" });
  all.forEach((x, i) => {
    if (!(Math.abs(x - ((tuned[i] ?? 0) - (base[i] ?? 0))) < 1e-7)) expect.fail(`element ${i} is not the model's`);
  });
  for (const rescale of ["none", "l1", "inverse"]) {
    expect(change({ density: 0, epsilon: 0.4 }, { rescale }).every((x) => x === 0)).toBe(true);
  }
});

test("rescaling by the inverse divides by the chance that the element had, so the mean stays", () => {
  const total = (values: Float32Array): number => values.reduce((sum, x) => sum + Math.abs(x), 0);
  const original = tuned.map((x, i) => x - (base[i] ?? 0));
  expect(total(change({ density, epsilon: 0.2 }, { rescale: "inverse" })) / total(original)).toBeCloseTo(1, 1);
  expect(total(change({ density, epsilon: 0.2 }, { rescale: "l1" })) / total(original)).toBeCloseTo(1, 4);
});

test("a vector is one row, and rows of one element are kept at the density", () => {
  const perModel = [{}, { weight: 1, density, epsilon: 0.2 }];
  const merge = { rescale: "none" };
  for (const given of [[rows * columns], [rows * columns, 1]]) {
    const merged = run(caseOf("della_linear", [base, tuned], { perModel, merge, shape: given }));
    const kept = merged.filter((x, i) => x !== base[i]).length;
    expect(Math.abs(kept / merged.length - density)).toBeLessThan(0.01);
  }
});

test.each([
  [0.1, 0.15, "density 0.1 ± epsilon 0.15 must stay between 0 and 1: choose a smaller epsilon"],
  [0.9, 0.1, "density 0.9 ± epsilon 0.1 must stay between 0 and 1: choose a smaller epsilon"],
  [0.5, 0.15, undefined],
  [1, 0.15, undefined],
  [0, 0.15, undefined],
])("density %f with epsilon %f is checked before anything is read", (share, epsilon, complaint) => {
  for (const name of ["della", "della_linear"]) {
    const values = { models: [{ density: share, epsilon, weight: 1 }], merge: {} };
    expect(methods.get(name)?.check(values)).toBe(complaint);
  }
});
