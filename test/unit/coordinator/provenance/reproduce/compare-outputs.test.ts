import { expect, test } from "vitest";
import type { Manifest } from "../../../../../coordinator/assemble/manifest.js";
import { compareOutputs } from "../../../../../coordinator/provenance/reproduce/compare-outputs.js";

const file = (name: string, digit = "1") => ({ name, bytes: 1, sha256: digit.repeat(64) });

function compare(before: ReturnType<typeof file>[], now: ReturnType<typeof file>[]) {
  const of = (companions: typeof before) =>
    ({ weights: [file("model.safetensors")], companions }) as unknown as Manifest;
  const { files, isEqual } = compareOutputs(of(before), of(now));
  return [isEqual, ...files.slice(1).map(({ name, state }) => `${name} ${state}`)];
}

test("compareOutputs() tells what is equal, different, missing and extra", () => {
  expect(compare([file("a")], [file("a")])).toEqual([true, "a equal"]);
  expect(compare([file("a"), file("b")], [file("a", "2"), file("c")])).toEqual([
    false,
    "a different",
    "b missing",
    "c extra",
  ]);
});

test("compareOutputs() leaves out a licence's text that only one output has, and not one that differs", () => {
  expect(compare([file("LICENSE")], [file("NOTICE")])).toEqual([true]);
  expect(compare([file("LICENSE")], [file("LICENSE", "2")])).toEqual([false, "LICENSE different"]);
});
