import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { combineCrc32 } from "../../../../shared/rpc/crc32.js";
import { seeded } from "../../../support/random.js";

test("combineCrc32() is the CRC-32 of the concatenation", () => {
  const random = seeded(1);
  const bytes = Uint8Array.from({ length: 70_000 }, () => Math.floor(random() * 256));
  for (const cut of [0, 1, 7, 4096, 65_536, 69_999, 70_000]) {
    const [first, second] = [bytes.subarray(0, cut), bytes.subarray(cut)];
    expect(combineCrc32(crc32(first), crc32(second), second.length)).toBe(crc32(bytes));
  }
});

test("combineCrc32() takes many parts one after the other", () => {
  const parts = Array.from({ length: 50 }, (_, i) => new Uint8Array(i * 37).fill(i));
  const combined = parts.reduce((crc, part) => combineCrc32(crc, crc32(part), part.length), 0);
  expect(combined).toBe(crc32(Buffer.concat(parts)));
});

test("combineCrc32() takes lengths beyond 32 bits", () => {
  // Appending n zero bytes and then m is appending n + m.
  const zeros = (crc: number, length: number): number => combineCrc32(crc, 0, length);
  expect(zeros(zeros(12_345, 2 ** 33), 2 ** 34 + 5)).toBe(zeros(12_345, 2 ** 33 + 2 ** 34 + 5));
});
