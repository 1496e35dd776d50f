import fc from "fast-check";
import { expect, test } from "vitest";
import { coalesce, maxRequestBytes } from "../../../../node-agent/files/coalesce.js";

const mib = 1 << 20;
const kib = 1 << 10;

const asked = (ranges: readonly (readonly [number, number])[]) =>
  coalesce(ranges.map(([offset, length]) => ({ offset, length }))).map(({ offset, length }) => [offset, length]);

test.each<[string, [number, number][], [number, number][]]>([
  [
    "neighbours are one request",
    [
      [mib, mib],
      [0, mib],
      [2 * mib, mib],
    ],
    [[0, 3 * mib]],
  ],
  [
    "a small gap is read over",
    [
      [0, mib],
      [mib + 64 * kib, mib],
    ],
    [[0, 2 * mib + 64 * kib]],
  ],
  [
    "a gap that is large is not",
    [
      [0, mib],
      [mib + 256 * kib, mib],
    ],
    [
      [0, mib],
      [mib + 256 * kib, mib],
    ],
  ],
  [
    "nor one that is large for what is asked",
    [
      [0, 1000],
      [2000, 1000],
    ],
    [
      [0, 1000],
      [2000, 1000],
    ],
  ],
  [
    "a request has a limit",
    Array.from({ length: 10 }, (_, i) => [i * mib, mib] as [number, number]),
    [
      [0, 8 * mib],
      [8 * mib, 2 * mib],
    ],
  ],
  [
    "the same range twice is read once",
    [
      [5, 100],
      [5, 100],
    ],
    [[5, 100]],
  ],
  ["a range that is larger than a request is whole", [[0, 20 * mib]], [[0, 20 * mib]]],
])("%s", (_, ranges, requests) => {
  expect(asked(ranges)).toEqual(requests);
});

test("every range is in one request, and little is read in vain", () => {
  const range = fc.record({ offset: fc.nat(40 * mib), length: fc.integer({ min: 1, max: mib }) });
  fc.assert(
    fc.property(fc.array(range, { maxLength: 40 }), (ranges) => {
      const requests = coalesce(ranges);
      expect(requests.flatMap(({ wanted }) => wanted)).toHaveLength(ranges.length);
      for (const { offset, length, wanted } of requests) {
        expect(length).toBeLessThanOrEqual(maxRequestBytes);
        for (const one of wanted) {
          expect(one.offset).toBeGreaterThanOrEqual(offset);
          expect(one.offset + one.length).toBeLessThanOrEqual(offset + length);
        }
        const useful = wanted.reduce((sum, one) => sum + one.length, 0);
        expect(length).toBeLessThanOrEqual((useful * 8) / 7);
      }
    }),
    { seed: 7, numRuns: 100 },
  );
});
