import { expect, test } from "vitest";
import { CombinedRows } from "../../../../node-agent/inputs/combinations.js";

const mebibyte = () => new Float32Array(1 << 18);

test("of the combined rows, those used least lately make room beyond 16 MiB", () => {
  const rows = new CombinedRows();
  for (let i = 0; i < 16; i += 1) rows.set(`${i}`, mebibyte());
  expect(rows.get("0")).toBeDefined();
  rows.set("16", mebibyte());
  rows.set("17", mebibyte());
  expect(["0", "1", "2", "3", "17"].map((key) => rows.get(key) !== undefined)).toEqual([
    true,
    false,
    false,
    true,
    true,
  ]);
});

test("a single combined row is kept whatever its size", () => {
  const rows = new CombinedRows();
  rows.set("small", mebibyte());
  rows.set("huge", new Float32Array(5 << 20));
  expect(rows.get("small")).toBeUndefined();
  expect(rows.get("huge")).toHaveLength(5 << 20);
});
