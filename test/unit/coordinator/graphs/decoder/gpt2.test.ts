import { expect, test } from "vitest";
import { decoderFamilies } from "../../../../../coordinator/graphs/decoder/families.js";

const tiny = { vocab_size: 16, n_embd: 8, n_layer: 2, n_head: 2, n_positions: 32 };

function build(config: object, ...names: string[]) {
  const tensors = new Map(names.map((name) => [name, { shape: [16, 8], dtype: "F32" }]));
  return decoderFamilies["gpt2"]?.({ config, tensors, configFile: "config.json", generates: true });
}

test.each([
  ["heads that do not divide", { n_head: 3 }, '"n_head" is 3, which does not divide "n_embd", 8'],
  [
    "the attention to an encoder",
    { add_cross_attention: true },
    '"add_cross_attention" is true, only models without an encoder are supported',
  ],
])("%s is refused", (_, change, problem) => {
  const message = `Cannot build a graph from "config.json": ${problem}`;
  expect(() => build({ ...tiny, ...change }, "wte.weight")).toThrow(
    expect.objectContaining({ code: "checkpoint_mismatch", message }),
  );
});

test.each(["transformer.", ""])('weights are found after the prefix "%s"', (prefix) => {
  const model = build(tiny, `${prefix}wte.weight`);
  expect(model?.graphs.head?.weights).toEqual([{ name: `${prefix}wte.weight`, shape: [16, 8] }]);
  expect(model?.graphs.body?.weights).toContainEqual({ name: `${prefix}h.1.attn.c_attn.weight`, shape: [8, 24] });
  expect(model?.cache).toEqual(Array.from({ length: 4 }, () => ({ heads: 2, width: 4 })));
});

test("a checkpoint without an embedding is told by its names", () => {
  expect(() => build(tiny, "model.embed_tokens.weight")).toThrow(
    'the checkpoint has no embedding, that is, none of "transformer.wte.weight", "wte.weight"',
  );
});
