import { expect, test } from "vitest";
import { recogniseArchitecture } from "../../../../coordinator/architecture/architecture.js";
import { sliceConfig } from "../../../../coordinator/architecture/slice-config.js";
import { vocabularyEdits } from "../../../../coordinator/architecture/vocabulary-edits.js";
import { editConfig } from "../../../../coordinator/assemble/config-edit.js";

const llama = `{
  "architectures": ["LlamaForCausalLM", "B", "C", "D"],
  "eos_token_id": [1, 2, 3, 4],
  "model_type": "llama",
  "num_hidden_layers": 4,
  "rms_norm_eps": 1e-05,
  "rope_theta": 500000.0,
  "vocab_size": 128256
}
`;
const gemma3 = `{
  "model_type": "gemma3",
  "image_token_index": 262144,
  "text_config": {
    "layer_types": [
      "sliding_attention",
      "sliding_attention",
      "full_attention"
    ],
    "model_type": "gemma3_text",
    "num_hidden_layers": 3,
    "rope_local_base_freq": 10000.0,
    "sliding_window_pattern": 3,
    "vocab_size": 262208
  },
  "vision_config": {"num_hidden_layers": 27, "layer_norm_eps": 1e-06}
}`;
const t5 = `{"model_type": "t5", "d_model": 512, "num_layers": 6, "relative_attention_max_distance": 128, "vocab_size": 32128}`;
const gpt2 = `{"model_type":"gpt2","n_ctx":1024,"n_layer":12,"layer_norm_epsilon":1e-05,"vocab_size":50257}`;
const qwenMoe = `{
  "model_type": "qwen3_moe",
  "decoder_sparse_step": 1,
  "max_window_layers": 4,
  "mlp_only_layers": [0, 3],
  "num_hidden_layers": 4,
  "sliding_window": null,
  "use_sliding_window": false,
  "rope_theta": 1000000.0
}`;

test.each([
  ["Llama", llama, "model.layers.", [0, 1, 2, 1, 2, 3], [['"num_hidden_layers": 4', '"num_hidden_layers": 6']]],
  [
    "Gemma 3",
    gemma3,
    "language_model.model.layers.",
    [0, 2, 1, 2],
    [
      ['"num_hidden_layers": 3', '"num_hidden_layers": 4'],
      [
        '"sliding_attention",\n      "sliding_attention",\n      "full_attention"',
        '"sliding_attention",\n      "full_attention",\n      "sliding_attention",\n      "full_attention"',
      ],
    ],
  ],
  ["GPT-2", gpt2, "h.", [0, 1, 11], [['"n_layer":12', '"n_layer":3']]],
  [
    "Qwen3 MoE",
    qwenMoe,
    "model.layers.",
    [0, 1, 2, 3, 0, 3],
    [
      ['"num_hidden_layers": 4', '"num_hidden_layers": 6'],
      ["[0, 3]", "[0, 3, 4, 5]"],
    ],
  ],
])("%s: what layers change in config.json, and nothing else", (_, text, stack, picked, replacements) => {
  const { config, architecture } = recognise(text, { [stack]: Math.max(...picked) + 1 });
  const { edits, warnings } = sliceConfig(config, architecture, [picked]);
  const expected = replacements.reduce((result, [from = "", to = ""]) => result.replace(from, to), text);
  expect(editConfig(text, edits)).toBe(expected);
  expect(expected).not.toBe(text);
  expect(warnings).toEqual([]);
});

test("T5: each module has its own depth, and a depth that was the other's is spelt out", () => {
  const { config, architecture } = recognise(t5, { "encoder.block.": 6, "decoder.block.": 6 });
  const [encoder, decoder] = [
    [0, 1, 2],
    [0, 1, 2, 3, 4, 5, 5, 5],
  ];
  const sliced = (layers: readonly (readonly number[] | undefined)[]): object => {
    return JSON.parse(editConfig(t5, sliceConfig(config, architecture, layers).edits)) as object;
  };
  expect(sliced([undefined, encoder])).toMatchObject({ num_layers: 3, num_decoder_layers: 6 });
  expect(sliced([decoder, undefined])).toMatchObject({ num_layers: 6, num_decoder_layers: 8 });
  expect(sliced([decoder, encoder])).toMatchObject({ num_layers: 3, num_decoder_layers: 8 });
});

test("T5: without layer 0 there are no position biases, and the author is told so", () => {
  const { config, architecture } = recognise(t5, { "encoder.block.": 6, "decoder.block.": 6 });
  expect(sliceConfig(config, architecture, [undefined, [1, 2]]).warnings).toEqual([
    'Layer 0 of "t5" has the position biases of all layers, and the output\'s layer 0 was layer 1: it has none',
  ]);
});

test("layers that stay as they are change nothing", () => {
  const { config, architecture } = recognise(llama, { "model.layers.": 4 });
  expect(sliceConfig(config, architecture, [[0, 1, 2, 3]])).toEqual({ edits: [], warnings: [] });
  expect(sliceConfig(config, architecture, [])).toEqual({ edits: [], warnings: [] });
});

test("a multimodal model whose text config leaves its depth to a default gets it", () => {
  const text = '{"model_type": "llava", "text_config": {"model_type": "llama"}, "vision_config": {}}';
  const { config, architecture } = recognise(text, { "language_model.model.layers.": 4 });
  const { edits } = sliceConfig(config, architecture, [[0, 1]]);
  expect(edits).toEqual([{ path: ["text_config", "num_hidden_layers"], value: 2 }]);
});

const per = (settings: object): string => JSON.stringify({ model_type: "llama", num_hidden_layers: 4, ...settings });

test.each([
  [
    "a list of objects",
    { block_configs: [{ a: 1 }, { a: 2 }, { a: 3 }, { a: 4 }] },
    [3, 0],
    { block_configs: [{ a: 4 }, { a: 1 }] },
  ],
  ["a pattern in letters", { hybrid_override_pattern: "M*-E" }, [3, 1, 0], { hybrid_override_pattern: "E*M" }],
  ["the first layers, fewer", { first_k_dense_replace: 2 }, [0, 2, 3], { first_k_dense_replace: 1 }],
  ["the first layers, more", { first_k_dense_replace: 1 }, [0, 0, 2, 3], { first_k_dense_replace: 2 }],
  ["the first layers, all of them", { first_k_dense_replace: 4 }, [0, 1, 2, 3, 3], { first_k_dense_replace: 5 }],
  ["two names of one number", { n_layer: 4 }, [0, 1], { n_layer: 2 }],
  ["another number", { num_layers: 3 }, [0, 1], { num_layers: 3 }],
  ["a rhythm that goes on", { decoder_sparse_step: 2 }, [0, 1, 0, 3], { decoder_sparse_step: 2 }],
  [
    "a window that is not used",
    { max_window_layers: 2, use_sliding_window: false },
    [2, 3, 0],
    { max_window_layers: 2 },
  ],
])("%s", (_, settings, picked, expected) => {
  const { config, architecture } = recognise(per(settings), { "model.layers.": 4 });
  const { edits, warnings } = sliceConfig(config, architecture, [picked]);
  expect(JSON.parse(editConfig(per(settings), edits))).toMatchObject({ num_hidden_layers: picked.length, ...expected });
  expect(warnings).toEqual([]);
});

test.each([
  ["first_k_dense_replace", { first_k_dense_replace: 2 }, [0, 2, 1], "are not the first any more"],
  ["max_window_layers", { max_window_layers: 2, use_sliding_window: true }, [3, 0], "are not the first any more"],
  ["decoder_sparse_step", { decoder_sparse_step: 2 }, [0, 2], "is 2, a rhythm of layers"],
  ["sliding_window_pattern", { sliding_window_pattern: "LLG" }, [0, 2], 'is "LLG", a rhythm of layers'],
  ["num_kv_shared_layers", { num_kv_shared_layers: 1 }, [0, 2], "depends on layers"],
  ["layer_types", { model_type: "gemma2" }, [0, 2], "take turns in how they attend, 2 in a round"],
])("%s that cannot follow is warned of and left as it is", (key, settings, picked, reason) => {
  const { config, architecture } = recognise(per(settings), { "model.layers.": 4 });
  const { edits, warnings } = sliceConfig(config, architecture, [picked]);
  expect(edits).toEqual([{ path: ["num_hidden_layers"], value: picked.length }]);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain(JSON.stringify(key));
  expect(warnings[0]).toContain(reason);
});

test("where the config of an unknown model says its depth is asked for", () => {
  const { config, architecture } = recognise('{"model_type": "foo", "deep": 4}', { "blocks.": 4 });
  expect(sliceConfig(config, architecture, [[0, 1]])).toEqual({
    edits: [],
    warnings: [
      'The output has 2 layers in place of 4: say so in its config.json by hand, since it is not known where for "foo"',
    ],
  });
});

test("a list of a config that encoder and decoder share is theirs by name, or asked about", () => {
  const settings = { model_type: "bart", encoder_layers: 2, decoder_layers: 2, num_hidden_layers: 2 };
  const text = JSON.stringify({ ...settings, decoder_kinds: ["a", "b"], kinds: ["a", "b"] });
  const { config, architecture } = recognise(text, { "model.encoder.layers.": 2, "model.decoder.layers.": 2 });
  const decoder = sliceConfig(config, architecture, [[1], undefined]);
  expect(decoder.edits).toEqual([
    { path: ["decoder_layers"], value: 1 },
    { path: ["decoder_kinds"], value: ["b"] },
  ]);
  expect(decoder.warnings).toEqual(['"kinds" in config.json may be of "decoder": check it by hand']);
  expect(sliceConfig(config, architecture, [undefined, [1]]).edits).toEqual([
    { path: ["encoder_layers"], value: 1 },
    { path: ["num_hidden_layers"], value: 1 },
  ]);
});

test.each([
  [llama, [["vocab_size"]]],
  [gemma3, [["text_config", "vocab_size"]]],
  ['{"vocab_size": 9, "text_config": {"vocab_size": 9}}', [["vocab_size"], ["text_config", "vocab_size"]]],
  ['{"text_config": {}}', [["text_config", "vocab_size"]]],
  ["{}", [["vocab_size"]]],
  ["7", [["vocab_size"]]],
])("a vocabulary's size stands in %s at %j", (text, paths) => {
  expect(vocabularyEdits(JSON.parse(text), 10)).toEqual(paths.map((path) => ({ path, value: 10 })));
});

function recognise(text: string, stacks: Readonly<Record<string, number>>) {
  const names = Object.entries(stacks).flatMap(([stack, layers]) =>
    Array.from({ length: layers }, (_, layer) => `${stack}${layer}.mlp.up_proj.weight`),
  );
  const config: unknown = JSON.parse(text);
  return { config, architecture: recogniseArchitecture(config, new Map(names.map((name) => [name, { shape: [] }]))) };
}
