import { expect, test } from "vitest";
import { choosePartBytes, partsOf } from "../../../../../coordinator/sinks/s3/parts.js";

const mebibyte = 2 ** 20;

test.each([
  [0, 16],
  [5e9, 16],
  [160_000 * mebibyte, 16],
  [160_000 * mebibyte + 1, 17],
  [812e9, 78],
  [48.8 * 2 ** 40, 5_118],
])("a file of %d bytes has at most 10,000 parts that S3 takes, of %d MiB", (bytes, size) => {
  const partBytes = choosePartBytes(bytes);
  expect(partBytes).toBe(size * mebibyte);
  expect(Math.ceil(bytes / partBytes)).toBeLessThanOrEqual(10_000);
  expect(partBytes).toBeLessThanOrEqual(5 * 2 ** 30);
});

test.each([1, 99, 100, 101, 250])("parts tile a file of %d bytes, the last as long as is left", (bytes) => {
  const parts = partsOf(bytes, 100);
  expect(parts.map(({ part }) => part)).toEqual(parts.map((_, i) => i + 1));
  let at = 0;
  for (const part of parts) {
    expect(part.offset).toBe(at);
    at += part.bytes;
  }
  expect(at).toBe(bytes);
});
