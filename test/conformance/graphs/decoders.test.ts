import { describe, test } from "vitest";
import { withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import {
  buildDecoder,
  cacheOf,
  decoderCases,
  emptyCache,
  expectClose,
  expectGolden,
  inputsOf,
  modelOf,
} from "../../support/decoder-goldens.js";
import { madeWeights } from "../../support/made-weights.js";
import { runGraph } from "../../support/run-graph.js";

const cases = decoderCases("decoders");

describe("a decoder's graphs compute what transformers does", () => {
  test.each(cases)("$title", async ({ golden }) => {
    await using directory = await withTempDir();
    const path = await writeCheckpoint(directory.path, madeWeights(golden.weights), { config: golden.config });
    await expectGolden(buildDecoder(golden, "any"), path, golden);
    await expectGolden(buildDecoder(golden, "cpu"), path, golden);
  });
});

test("a head that is stored and is not the embedding counts, as in transformers 5, though the config ties them", async () => {
  const golden = cases.find(({ title }) => title.startsWith("llama: grouped queries"))?.golden;
  if (golden === undefined) throw new Error("There is no such golden");
  await using directory = await withTempDir();
  const path = await writeCheckpoint(directory.path, madeWeights(golden.weights));
  const tied = { ...golden, config: { ...golden.config, tie_word_embeddings: true } };
  await expectGolden(buildDecoder(tied, "any"), path, golden);
});

/** The two ways of one model to be run agree: all tokens at once, and some from a cache. */
test("a step of several tokens on a filled cache sees what a body sees", async () => {
  const golden = cases.find(({ title }) => title.startsWith("mistral: a window, left"))?.golden;
  if (golden === undefined) throw new Error("There is no such golden");
  await using directory = await withTempDir();
  const path = await writeCheckpoint(directory.path, madeWeights(golden.weights));
  const model = buildDecoder(golden, "any");
  const { hidden } = await runGraph(modelOf(model, "body"), path, inputsOf(golden.input_ids, golden.attention_mask));
  const [before, after] = [golden.input_ids.map((ids) => ids.slice(0, 7)), golden.input_ids.map((ids) => ids.slice(7))];
  const step = modelOf(model, "step");
  const masks = golden.attention_mask;
  const first = await runGraph(step, path, {
    ...inputsOf(
      before,
      masks.map((mask) => mask.slice(0, 7)),
    ),
    ...emptyCache(model, before.length),
  });
  const { hidden: rest } = await runGraph(step, path, { ...inputsOf(after, masks), ...cacheOf(first) });
  const width = hidden?.shape[2] ?? 0;
  const time = golden.input_ids[0]?.length ?? 0;
  const expected = before.flatMap((_, row) =>
    Array.from((hidden?.values ?? []).slice((row * time + 7) * width, (row + 1) * time * width), Number),
  );
  expectClose(rest?.values, expected);
});
