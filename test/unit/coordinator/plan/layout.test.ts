import { expect, test } from "vitest";
import { type LaidOutTensor, layOutFiles } from "../../../../coordinator/plan/layout.js";
import { type Dtype, dtypeBits } from "../../../../shared/checkpoint/dtypes.js";
import { parseHeader } from "../../../../shared/checkpoint/header.js";
import { tensorBytes } from "../../../../shared/checkpoint/tensor-bytes.js";
import { seeded } from "../../../support/random.js";

function tensor(name: string, dtype: Dtype, ...shape: readonly number[]): LaidOutTensor {
  return { name, dtype, shape, bytes: tensorBytes(dtype, shape) ?? Number.NaN };
}

function tensorsIn(file: { readonly header: Uint8Array; readonly bytes: number; readonly name: string }) {
  return parseHeader(file.header.subarray(8), { file: file.name, fileBytes: file.bytes }).tensors;
}

test("layOutFiles() makes one file of a model that fits one", () => {
  const { files, order } = layOutFiles([tensor("a", "F32", 10), tensor("b", "F32", 10)], 80);
  expect(files.map(({ name }) => name)).toEqual(["model.safetensors"]);
  expect(order).toEqual([0, 1]);
});

test("layOutFiles() begins a file where the next tensor would exceed the limit, and numbers the files", () => {
  const tensors = ["a", "b", "c", "d", "e"].map((name) => tensor(name, "F32", 10));
  const { files, places } = layOutFiles(tensors, 100);
  expect(files.map(({ name }) => name)).toEqual([
    "model-00001-of-00003.safetensors",
    "model-00002-of-00003.safetensors",
    "model-00003-of-00003.safetensors",
  ]);
  expect(places.map(({ file }) => file)).toEqual([0, 0, 1, 1, 2]);
});

test("layOutFiles() gives a tensor above the limit a file of its own", () => {
  const { places } = layOutFiles([tensor("a", "F32", 1), tensor("big", "F32", 100), tensor("c", "F32", 1)], 40);
  expect(places.map(({ file }) => file)).toEqual([0, 1, 2]);
});

test("layOutFiles() puts wide dtypes first and otherwise keeps the order", () => {
  const tensors = [
    tensor("flags", "U8", 3),
    tensor("half", "BF16", 3),
    tensor("single", "F32", 1),
    tensor("packed", "F4", 6),
    tensor("also half", "F16", 1),
    tensor("long", "I64", 1),
  ];
  const { files, order } = layOutFiles(tensors, 1e9);
  const names = order.map((i) => tensors[i]?.name);
  expect(names).toEqual(["long", "single", "half", "also half", "flags", "packed"]);
  expect(files.flatMap((file) => tensorsIn(file).map(({ name }) => name))).toEqual(names);
});

test("layOutFiles() makes a file of a model without tensors", () => {
  const { files } = layOutFiles([], 100);
  expect(files.map(({ name, bytes, header }) => [name, bytes - header.length])).toEqual([["model.safetensors", 0]]);
});

const dtypes: readonly Dtype[] = ["F64", "F32", "BF16", "F8_E4M3", "I64", "U8", "F4", "BOOL", "C64"];

test.each(Array.from({ length: 50 }, (_, seed) => seed))("layOutFiles() tiles every file, seed %i", (seed) => {
  const random = seeded(seed);
  const tensors = Array.from({ length: 1 + Math.floor(random() * 60) }, (_, i) => {
    const shape = Array.from({ length: Math.floor(random() * 4) }, () => Math.floor(random() * 12));
    return tensor(`layer.${i}.weight`, dtypes[Math.floor(random() * dtypes.length)] ?? "F32", ...shape, 2);
  });
  const shardBytes = 1 + Math.floor(random() * 20_000);
  const { files, places, order } = layOutFiles(tensors, shardBytes);

  expect(order.toSorted((a, b) => a - b)).toEqual(tensors.map((_, i) => i));
  const ends = files.map(({ header }) => header.length);
  for (const i of order) {
    const { file, offset } = places[i] ?? { file: -1, offset: -1 };
    const { bytes = 0, dtype = "U8" } = tensors[i] ?? {};
    expect(offset).toBe(ends[file]);
    expect(offset % Math.ceil(dtypeBits(dtype) / 8)).toBe(0);
    ends[file] = offset + bytes;
  }
  expect(ends).toEqual(files.map(({ bytes }) => bytes));
  for (const [file, { header, bytes }] of files.entries()) {
    expect(header.length % 8).toBe(0);
    const inside = places.filter((place) => place.file === file);
    if (inside.length > 1) expect(bytes - header.length).toBeLessThanOrEqual(shardBytes);
    // Our own reader, which takes nothing that is not tiled, agrees about every place.
    const read = tensorsIn({ name: "x", header, bytes });
    expect(read.map(({ begin }) => header.length + begin).toSorted((a, b) => a - b)).toEqual(
      inside.map(({ offset }) => offset).toSorted((a, b) => a - b),
    );
  }
});
