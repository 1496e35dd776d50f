import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readTaskVectors } from "../../../../coordinator/sweep/task-vectors.js";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import { type TestTensors, writeCheckpoint } from "../../../support/checkpoints.js";
import { normals, seeded } from "../../../support/random.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "amalgam-task-vectors-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const random = seeded(4);
// More than one tile, and one small tensor.
const sizes = { big: [600, 500], small: [7] } as const;
const numbers = (): Record<keyof typeof sizes, Float32Array> => ({
  big: normals(300_000, random),
  small: normals(7, random),
});
const [base, first, second] = [numbers(), numbers(), numbers()];

async function stored(name: string, values: ReturnType<typeof numbers>, extra: TestTensors = {}, shards = 1) {
  const tensors = Object.entries(sizes).map(([tensor, shape]) => {
    return [tensor, { dtype: "F32", shape, values: values[tensor as keyof typeof sizes] }] as const;
  });
  const path = await writeCheckpoint(join(folder, name), { ...Object.fromEntries(tensors), ...extra }, { shards });
  return openCheckpoint(path);
}

function product(a: ReturnType<typeof numbers>, b: ReturnType<typeof numbers>): number {
  let sum = 0;
  for (const tensor of ["big", "small"] as const) {
    for (const [i, origin] of base[tensor].entries()) {
      sum += ((a[tensor][i] ?? 0) - origin) * ((b[tensor][i] ?? 0) - origin);
    }
  }
  return sum;
}

test("lengths and angles are those of whole models less the base, whatever files they are in", async () => {
  const ids = { dtype: "I64", shape: [2], bytes: new Uint8Array(16) } as const;
  const found = await readTaskVectors(await stored("base", base, { ids }), [
    { name: "first", checkpoint: await stored("first", first, { ids }) },
    {
      name: "second",
      checkpoint: await stored("second", second, { head: { dtype: "F32", shape: [1], values: [9] } }, 3),
    },
  ]);
  expect(found.models).toEqual(["first", "second"]);
  const [[aa = 0, ab = 0] = [], [ba = 0, bb = 0] = []] = found.gram;
  expect(aa / product(first, first)).toBeCloseTo(1, 12);
  expect(bb / product(second, second)).toBeCloseTo(1, 12);
  expect(ab / product(first, second)).toBeCloseTo(1, 10);
  expect(ba).toBe(ab);
});

test("a model of other shapes is refused with both of them", async () => {
  const other = await writeCheckpoint(join(folder, "other"), {
    big: { dtype: "F32", shape: [2, 3], values: new Array(6).fill(0) },
  });
  const models = [{ name: "other", checkpoint: await openCheckpoint(other) }];
  await expect(readTaskVectors(await stored("base 2", base), models)).rejects.toThrow(
    'Cannot subtract "big" from its base: the base has [600, 500], "other" has [2, 3]',
  );
});
