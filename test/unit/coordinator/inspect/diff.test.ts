import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type DiffReport, diffCheckpoints } from "../../../../coordinator/inspect/diff.js";
import { formatDiff } from "../../../../coordinator/inspect/format-diff.js";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import {
  randomTensor,
  randomValues,
  type TestTensor,
  type TestTensors,
  withTempDir,
  writeCheckpoint,
} from "../../../support/checkpoints.js";

async function diff(a: TestTensors, b: TestTensors, shards = 1): Promise<DiffReport> {
  await using dir = await withTempDir();
  await writeCheckpoint(join(dir.path, "a"), a, { shards });
  await writeCheckpoint(join(dir.path, "b"), b);
  return await diffCheckpoints(await openCheckpoint(join(dir.path, "a")), await openCheckpoint(join(dir.path, "b")));
}

function f32(...values: readonly number[]): TestTensor {
  return { dtype: "F32", shape: [values.length], values };
}

test("diffCheckpoints() finds equal checkpoints equal, however they are cut into files", async () => {
  const tensors = { x: randomTensor(1, [10, 3]), y: randomTensor(2, [7], "BF16"), z: randomTensor(3, [0]) };
  const report = await diff(tensors, tensors, 3);
  expect(report.tensors.map(({ name, kind }) => [name, kind])).toEqual([
    ["x", "equal"],
    ["y", "equal"],
    ["z", "equal"],
  ]);
  expect(report.totals).toMatchObject({ tensors: 3, equal: 3, different: 0, isEqual: true, largest: undefined });
  expect(formatDiff(report)).toBe("3 tensors: 3 equal\n");
});

test("diffCheckpoints() measures how far numbers are apart", async () => {
  const report = await diff({ x: f32(3, 4, 0) }, { x: f32(4, -3, 0) });
  expect(report.tensors).toEqual([
    {
      name: "x",
      kind: "numbers",
      dtypes: ["F32", "F32"],
      compared: 3,
      nonFinite: 0,
      largest: 7,
      rms: Math.sqrt(50 / 3),
      cosine: 0,
    },
  ]);
  expect(report.totals).toMatchObject({ different: 1, isEqual: false, largest: { tensor: "x", value: 7 } });
});

test("diffCheckpoints() counts what is not finite and measures the rest", async () => {
  const report = await diff({ x: f32(1, Number.NaN, Infinity, 2, Infinity) }, { x: f32(1, 5, Infinity, 4, 0) });
  expect(report.tensors[0]).toMatchObject({ compared: 2, nonFinite: 3, largest: 2, rms: Math.SQRT2 });
});

test("diffCheckpoints() has no cosine for a tensor of zeros, and the report is JSON", async () => {
  const report = await diff({ x: f32(0, 0) }, { x: f32(1, 2) });
  expect(report.tensors[0]).toMatchObject({ cosine: null });
  expect(JSON.parse(JSON.stringify(report))).toEqual(report);
});

test("diffCheckpoints() compares numbers across dtypes", async () => {
  const values = [1, -2.5, 0.15625, 448];
  for (const dtype of ["F16", "BF16", "F64", "F8_E4M3"] as const) {
    const report = await diff({ x: f32(...values) }, { x: { dtype, shape: [4], values } });
    expect(report.tensors[0]).toMatchObject({ kind: "numbers", dtypes: ["F32", dtype], largest: 0, cosine: 1 });
  }
  const fine = await diff(
    { x: { dtype: "F64", shape: [1], bytes: new Uint8Array(new Float64Array([1 + 1e-12]).buffer) } },
    { x: f32(1) },
  );
  expect(fine.totals.largest?.value).toBeCloseTo(1e-12, 15);
});

test("diffCheckpoints() compares what is not numbers byte by byte", async () => {
  const ids = (bytes: readonly number[]) =>
    ({ dtype: "U8", shape: [bytes.length], bytes: Uint8Array.from(bytes) }) as const;
  const report = await diff({ x: ids([1, 2, 3]), y: ids([1]) }, { x: ids([1, 5, 6]), y: ids([1]) });
  expect(report.tensors).toEqual([
    { name: "x", kind: "bytes", dtype: "U8", bytes: 3, differing: 2 },
    { name: "y", kind: "equal", dtype: "U8", bytes: 1 },
  ]);
});

test("diffCheckpoints() says what cannot be compared and why", async () => {
  const report = await diff(
    { left: f32(1), shape: randomTensor(1, [2, 3]), dtype: { dtype: "I8", shape: [1], bytes: new Uint8Array(1) } },
    { right: f32(1), shape: randomTensor(1, [3, 2]), dtype: f32(1) },
  );
  expect(report.tensors).toEqual([
    { name: "dtype", kind: "dtype", dtypes: ["I8", "F32"] },
    { name: "left", kind: "only-a", dtype: "F32", shape: [1] },
    { name: "right", kind: "only-b", dtype: "F32", shape: [1] },
    {
      name: "shape",
      kind: "shape",
      shapes: [
        [2, 3],
        [3, 2],
      ],
    },
  ]);
  expect(report.totals).toMatchObject({ onlyA: 1, onlyB: 1, incomparable: 2, isEqual: false });
  const text = formatDiff(report);
  expect(text).toContain('"shape"  shapes differ: [2, 3] and [3, 2]\n');
  expect(text).toMatch(/4 tensors: 2 not comparable, 1 only in ".*a", 1 only in ".*b"\n$/);
});

test("diffCheckpoints() gives the same for a tensor of many tiles as one look at all of it", async () => {
  const count = (1 << 21) + 5;
  const [a, b] = [randomValues(1, count), randomValues(2, count)];
  b.set(a.subarray(0, 1 << 20));
  const shape = [count];
  const report = await diff({ x: { dtype: "F32", shape, values: a } }, { x: { dtype: "F32", shape, values: b } });
  const differences = a.map((value, i) => value - (b[i] ?? 0));
  const squares = Float64Array.from(differences, (value) => value * value);
  const [found] = report.tensors;
  if (found?.kind !== "numbers") throw new Error("expected numbers");
  expect(found.compared).toBe(count);
  expect(found.largest).toBeCloseTo(
    differences.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0),
    6,
  );
  expect(found.rms).toBeCloseTo(Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / count), 6);
  expect(found.cosine).toBeGreaterThan(0.4);
  expect(formatDiff(report)).toMatch(
    /^"x" {2}max 0\.\d{3}, rms 0\.0\d{3}, cosine 0\.\d{6}, F32\n1 tensors: 1 different/,
  );
});

test("diffCheckpoints() notices a file that shrinks under it", async () => {
  await using dir = await withTempDir();
  const path = await writeCheckpoint(join(dir.path, "a"), { x: randomTensor(1, [100]) });
  const checkpoint = await openCheckpoint(path);
  await truncate(checkpoint.files[0]?.path ?? "", 200);
  await expect(diffCheckpoints(checkpoint, checkpoint)).rejects.toMatchObject({ code: "checkpoint_changed" });
});

test("diffCheckpoints() stops when it is told to", async () => {
  await using dir = await withTempDir();
  const path = await writeCheckpoint(join(dir.path, "a"), { x: randomTensor(1, [100]) });
  const checkpoint = await openCheckpoint(path);
  const signal = AbortSignal.abort();
  await expect(diffCheckpoints(checkpoint, checkpoint, { signal })).rejects.toMatchObject({ name: "AbortError" });
});
