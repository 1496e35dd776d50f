import { describe, test } from "vitest";
import { withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { buildDecoder, decoderCases, expectGolden } from "../../support/decoder-goldens.js";
import { madeWeights } from "../../support/made-weights.js";

describe("a mixture of experts computes what transformers does", () => {
  test.each(decoderCases("moe"))("$title", async ({ golden }) => {
    await using directory = await withTempDir();
    const path = await writeCheckpoint(directory.path, madeWeights(golden.weights), { config: golden.config });
    await expectGolden(buildDecoder(golden, "any"), path, golden);
    await expectGolden(buildDecoder(golden, "cpu"), path, golden);
  });
});
