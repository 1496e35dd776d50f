import { expect, test } from "vitest";
import { caseOf, expectClose, run } from "../../../support/methods.js";
import { normals, seeded } from "../../../support/random.js";

const random = seeded(17);
const [base, other] = [normals(1000, random, 0.05), normals(1000, random, 0.05)];
const nearswap = (t: number, inputs = [base, other]) => run(caseOf("nearswap", inputs, { merge: { t } }));

test("an element nearer than t is taken over; t of the way to one that is further", () => {
  const out = nearswap(0.1, [Float32Array.of(1, 1, 1, 1, 1), Float32Array.of(1.05, 1.1, 1.2, 2, -1)]);
  expectClose(out, [1.05, 1.1, 1.1, 1.1, 0.9]);
});

test("a distance below 1e-6 counts as 1e-6", () => {
  const out = nearswap(5e-7, [Float32Array.of(0), Float32Array.of(2e-7)]);
  expectClose(out, [1e-7], 1e-6, 0);
});

test("t of any size gives the formula's numbers", () => {
  for (const t of [1e-4, 0.03, 0.2]) {
    const wanted = [...base].map((a, i) => {
      const b = other[i] ?? 0;
      const share = Math.min(Math.max(t / Math.max(Math.abs(a - b), 1e-6), 0), 1);
      return share * b + (1 - share) * a;
    });
    expectClose(nearswap(t), wanted);
  }
});

test("a t beyond every difference gives the other model, and t of 0 or less the base", () => {
  expect(nearswap(1)).toEqual(other);
  expect(nearswap(0)).toEqual(base);
  expect(nearswap(-1)).toEqual(base);
});

test("equal models give that model", () => {
  expect(nearswap(0.1, [base, base])).toEqual(base);
});
