import { describe, test } from "vitest";
import { type TestTensor, withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { buildDecoder, decoderCases, expectGolden } from "../../support/decoder-goldens.js";
import { madeWeight } from "../../support/made-weights.js";

/** As fp8.py stores a tensor. */
function stored(name: string, shape: readonly number[], hasScale: boolean): TestTensor {
  const made = madeWeight(name, shape);
  if (hasScale) return { dtype: "F8_E4M3", shape, values: made.map((value) => value * 256) };
  if (!/_scale(_inv)?$/.test(name)) return { dtype: "F32", shape, values: made };
  return { dtype: "F32", shape, values: made.map((value) => Math.fround(1 + Math.abs(value)) / 256) };
}

describe("a decoder in FP8 computes what PyTorch does with its weights multiplied out", () => {
  test.each(decoderCases("fp8"))("$title", async ({ golden }) => {
    await using directory = await withTempDir();
    const hasScale = (name: string) => `${name}_scale` in golden.weights || `${name}_scale_inv` in golden.weights;
    const tensors = Object.entries(golden.weights).map(
      ([name, shape]) => [name, stored(name, shape, hasScale(name))] as const,
    );
    const path = await writeCheckpoint(directory.path, new Map(tensors), { config: golden.config });
    await expectGolden(buildDecoder(golden, "any"), path, golden);
    await expectGolden(buildDecoder(golden, "cpu"), path, golden);
  });
});
