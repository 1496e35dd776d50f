import { expect, test } from "vitest";
import { type Made, readMade } from "../../../../coordinator/provenance/made.js";

const made: readonly Made[] = [
  { kind: "merge", shardBytes: 1e6 },
  { kind: "moe", shardBytes: 1e6, allowIdenticalExperts: false },
  { kind: "merge-adapters", adapters: [{ name: "a", weight: -0.5 }], combination: "svd", rank: 4, dtype: "F32" },
];

test.each(made.map((one) => [one.kind, one] as const))("readMade() reads what was written of a %s", (_, one) => {
  expect(readMade(JSON.parse(JSON.stringify(one)), "x")).toEqual(one);
});

test("readMade() knows what an earlier Amalgam did without saying", () => {
  expect(readMade(undefined, "ties")).toEqual({ kind: "merge", shardBytes: 5e9 });
  expect(readMade(undefined, "moe")).toMatchObject({ kind: "moe", shardBytes: 5e9 });
});

test.each([
  [{ kind: "fusion" }, "made.kind"],
  [{ kind: "merge" }, "made.shardBytes"],
  [{ kind: "merge", shardBytes: -1 }, "made.shardBytes"],
  [{ kind: "merge-adapters", adapters: [], combination: "svd", dtype: "F32" }, "made.adapters"],
  [{ kind: "merge-adapters", adapters: [{ name: "a", weight: 1 }], combination: "svd", dtype: "I8" }, "made.dtype"],
  ["merge", "made"],
])("readMade() refuses %j by name", (written, name) => {
  expect(() => readMade(written, "x")).toThrow(`Cannot tell how the output was made: "${name}" is not`);
});
