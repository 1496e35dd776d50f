import { expect, test } from "vitest";
import { recogniseArchitecture } from "../../../../coordinator/architecture/architecture.js";

/** `[module] part [layer or +predictor] [tokens] [optional]`; the module is left out where it is the only one. */
type Expected = string;
type Row = readonly [family: string, config: object, places: Readonly<Record<string, Expected>>];

const decoder = {
  "model.embed_tokens.weight": "before embedding",
  "model.layers.0.self_attn.q_proj.weight": "layer 0",
  "model.layers.0.self_attn.rotary_emb.inv_freq": "layer 0 optional",
  "model.layers.11.mlp.down_proj.weight": "layer 11",
  "model.norm.weight": "after",
  "lm_head.weight": "after head",
};
const experts = {
  ...decoder,
  "model.layers.3.mlp.gate.weight": "layer 3",
  "model.layers.3.mlp.experts.17.up_proj.weight": "layer 3",
};
const bert = {
  "embeddings.word_embeddings.weight": "before embedding",
  "embeddings.position_embeddings.weight": "before",
  "embeddings.LayerNorm.weight": "before",
  "embeddings.position_ids": "before optional",
  "encoder.layer.0.attention.self.query.weight": "layer 0",
  "encoder.layer.11.output.LayerNorm.bias": "layer 11",
  "pooler.dense.weight": "after",
};
const gpt2 = {
  "wte.weight": "before embedding",
  "wpe.weight": "before",
  "h.0.attn.c_attn.weight": "layer 0",
  "h.11.attn.masked_bias": "layer 11 optional",
  "h.11.attn.bias": "layer 11 optional",
  "ln_f.weight": "after",
};
const visionLanguage = {
  "language_model.model.embed_tokens.weight": "text_decoder before embedding",
  "language_model.model.layers.5.mlp.up_proj.weight": "text_decoder layer 5",
  "language_model.model.norm.weight": "text_decoder after",
  "language_model.lm_head.weight": "text_decoder after head",
  "multi_modal_projector.linear_1.weight": "multi_modal_projector before",
  "vision_tower.vision_model.embeddings.patch_embedding.weight": "vision_tower before",
  "vision_tower.vision_model.encoder.layers.7.mlp.fc1.weight": "vision_tower layer 7",
  "vision_tower.vision_model.post_layernorm.weight": "vision_tower after",
};
const encoderDecoder = {
  "shared.weight": "shared before embedding",
  "encoder.embed_tokens.weight": "encoder before embedding",
  "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": "encoder layer 0",
  "encoder.block.3.layer.1.DenseReluDense.wo.weight": "encoder layer 3",
  "encoder.final_layer_norm.weight": "encoder after",
  "decoder.block.1.layer.2.layer_norm.weight": "decoder layer 1",
  "decoder.final_layer_norm.weight": "decoder after",
  "lm_head.weight": "shared after head",
};

const rows: readonly Row[] = [
  ["Llama", { model_type: "llama" }, decoder],
  ["Llama without a head's prefix", { model_type: "llama" }, withoutPrefix(decoder, "model.")],
  ["Llama that classifies", { model_type: "llama" }, { ...decoder, "score.weight": "after" }],
  ["Mistral", { model_type: "mistral" }, decoder],
  [
    "Mixtral",
    { model_type: "mixtral" },
    { ...decoder, "model.layers.3.block_sparse_moe.experts.7.w1.weight": "layer 3" },
  ],
  ["Qwen2", { model_type: "qwen2" }, { ...decoder, "model.layers.1.self_attn.q_proj.bias": "layer 1" }],
  ["Qwen2 MoE", { model_type: "qwen2_moe" }, experts],
  ["Qwen3", { model_type: "qwen3" }, { ...decoder, "model.layers.1.self_attn.q_norm.weight": "layer 1" }],
  ["Qwen3 MoE", { model_type: "qwen3_moe" }, experts],
  ["Gemma 2", { model_type: "gemma2" }, { ...decoder, "model.layers.1.post_feedforward_layernorm.weight": "layer 1" }],
  ["Gemma 3, text", { model_type: "gemma3_text" }, decoder],
  ["Phi", { model_type: "phi" }, { ...decoder, "model.final_layernorm.bias": "after", "lm_head.bias": "after head" }],
  ["Phi-3", { model_type: "phi3" }, { ...decoder, "model.layers.1.mlp.gate_up_proj.weight": "layer 1" }],
  ["DeepSeek-V2", { model_type: "deepseek_v2" }, experts],
  [
    "DeepSeek-V3 with a predictor of further tokens",
    { model_type: "deepseek_v3", num_hidden_layers: 12, num_nextn_predict_layers: 1 },
    {
      ...experts,
      "model.layers.12.embed_tokens.weight": "after +0 embedding",
      "model.layers.12.eh_proj.weight": "after +0",
      "model.layers.12.shared_head.head.weight": "after +0 head",
    },
  ],
  ["GPT-2", { model_type: "gpt2" }, gpt2],
  [
    "GPT-2 with a head",
    { model_type: "gpt2" },
    { ...withPrefix(gpt2, "transformer."), "lm_head.weight": "after head" },
  ],
  [
    "GPT-NeoX",
    { model_type: "gpt_neox" },
    {
      "gpt_neox.embed_in.weight": "before embedding",
      "gpt_neox.layers.5.attention.query_key_value.weight": "layer 5",
      "gpt_neox.layers.5.attention.rotary_emb.inv_freq": "layer 5 optional",
      "gpt_neox.final_layer_norm.weight": "after",
      "embed_out.weight": "after head",
    },
  ],
  [
    "Falcon",
    { model_type: "falcon" },
    {
      "transformer.word_embeddings.weight": "before embedding",
      "transformer.h.31.self_attention.dense.weight": "layer 31",
      "transformer.ln_f.bias": "after",
      "lm_head.weight": "after head",
    },
  ],
  ["StableLM", { model_type: "stablelm" }, { ...decoder, "model.norm.bias": "after" }],
  [
    "InternLM2",
    { model_type: "internlm2" },
    {
      "model.tok_embeddings.weight": "before embedding",
      "model.layers.2.attention.wqkv.weight": "layer 2",
      "model.norm.weight": "after",
      "output.weight": "after head",
    },
  ],
  ["Cohere", { model_type: "cohere" }, decoder],
  ["Granite", { model_type: "granite" }, decoder],
  ["OLMo 2", { model_type: "olmo2" }, decoder],
  ["StarCoder2", { model_type: "starcoder2" }, { ...decoder, "model.layers.2.mlp.c_fc.bias": "layer 2" }],
  ["BERT", { model_type: "bert" }, bert],
  [
    "BERT with its head",
    { model_type: "bert" },
    {
      ...withPrefix(bert, "bert."),
      "cls.predictions.bias": "after head",
      "cls.predictions.transform.LayerNorm.weight": "after",
      "cls.predictions.decoder.weight": "after head",
    },
  ],
  [
    "RoBERTa with its head",
    { model_type: "roberta" },
    {
      ...withPrefix(bert, "roberta."),
      "lm_head.dense.weight": "after",
      "lm_head.layer_norm.bias": "after",
      "lm_head.decoder.weight": "after head",
    },
  ],
  [
    "DistilBERT that classifies",
    { model_type: "distilbert" },
    {
      "distilbert.embeddings.word_embeddings.weight": "before embedding",
      "distilbert.transformer.layer.5.ffn.lin1.weight": "layer 5",
      "pre_classifier.weight": "after",
      "classifier.bias": "after",
    },
  ],
  ["T5", { model_type: "t5" }, encoderDecoder],
  [
    "ViT",
    { model_type: "vit" },
    {
      "vit.embeddings.cls_token": "before",
      "vit.embeddings.patch_embeddings.projection.weight": "before",
      "vit.encoder.layer.11.layernorm_before.weight": "layer 11",
      "vit.layernorm.weight": "after",
      "classifier.weight": "after",
    },
  ],
  [
    "CLIP",
    { model_type: "clip" },
    {
      logit_scale: "text_model after",
      "text_model.embeddings.token_embedding.weight": "text_model before embedding",
      "text_model.embeddings.position_embedding.weight": "text_model before",
      "text_model.encoder.layers.11.mlp.fc1.weight": "text_model layer 11",
      "text_model.final_layer_norm.weight": "text_model after",
      "text_projection.weight": "text_model after",
      "vision_model.embeddings.class_embedding": "vision_model before",
      "vision_model.pre_layrnorm.weight": "vision_model before",
      "vision_model.encoder.layers.23.mlp.fc1.weight": "vision_model layer 23",
      "vision_model.post_layernorm.weight": "vision_model after",
      "visual_projection.weight": "vision_model after",
    },
  ],
  [
    "Whisper",
    { model_type: "whisper" },
    {
      "model.encoder.conv1.weight": "encoder before",
      "model.encoder.embed_positions.weight": "encoder before",
      "model.encoder.layers.3.fc1.weight": "encoder layer 3",
      "model.encoder.layer_norm.weight": "encoder after",
      "model.decoder.embed_tokens.weight": "decoder before embedding",
      "model.decoder.embed_positions.weight": "decoder before",
      "model.decoder.layers.1.encoder_attn.k_proj.weight": "decoder layer 1",
      "model.decoder.layer_norm.bias": "decoder after",
      "proj_out.weight": "decoder after head",
    },
  ],
  ["LLaVA", { model_type: "llava" }, visionLanguage],
  ["Gemma 3", { model_type: "gemma3" }, visionLanguage],
  [
    "Qwen2.5-VL",
    { model_type: "qwen2_5_vl" },
    {
      "model.embed_tokens.weight": "text_decoder before embedding",
      "model.layers.27.mlp.up_proj.weight": "text_decoder layer 27",
      "lm_head.weight": "text_decoder after head",
      "visual.patch_embed.proj.weight": "vision_tower before",
      "visual.blocks.31.attn.qkv.weight": "vision_tower layer 31",
      "visual.merger.mlp.0.weight": "multi_modal_projector before",
      "visual.merger.mlp.2.weight": "multi_modal_projector before",
    },
  ],
];

test.each(rows)("%s: every tensor has its place", (_, config, places) => {
  const names = Object.keys(places);
  const architecture = recogniseArchitecture(config, shapeless(names));
  expect(Object.fromEntries(names.map((name) => [name, placeOf(architecture, name)]))).toEqual(places);
  expect(architecture.note).toBeUndefined();
});

test.each([
  ["llama", ["model.embed_tokens.weight"], [["model.embed_tokens.weight", "lm_head.weight"]]],
  ["llama", ["embed_tokens.weight", "lm_head.weight"], [["embed_tokens.weight", "lm_head.weight"]]],
  [
    "llava",
    ["language_model.model.embed_tokens.weight"],
    [["language_model.model.embed_tokens.weight", "language_model.lm_head.weight"]],
  ],
  ["gpt_neox", ["gpt_neox.embed_in.weight"], [["gpt_neox.embed_in.weight", "embed_out.weight"]]],
  ["internlm2", ["model.tok_embeddings.weight"], [["model.tok_embeddings.weight", "output.weight"]]],
  [
    "bert",
    ["bert.embeddings.word_embeddings.weight"],
    [["bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"]],
  ],
  ["whisper", ["model.decoder.embed_tokens.weight"], [["model.decoder.embed_tokens.weight", "proj_out.weight"]]],
  [
    "t5",
    ["shared.weight"],
    [["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"]],
  ],
  ["vit", ["vit.embeddings.position_embeddings"], []],
  ["clip", ["text_model.embeddings.token_embedding.weight"], []],
])("a %s with %s has the ties %s", (model_type, names, ties) => {
  expect(recogniseArchitecture({ model_type }, shapeless(names)).ties).toEqual(ties);
});

test("the predictor's own copies of embedding and head are no ties", () => {
  const names = [
    "model.embed_tokens.weight",
    "model.layers.0.a",
    "model.layers.1.embed_tokens.weight",
    "lm_head.weight",
  ];
  const config = { model_type: "deepseek_v3", num_hidden_layers: 1, num_nextn_predict_layers: 1 };
  expect(recogniseArchitecture(config, shapeless(names)).ties).toEqual([
    ["model.embed_tokens.weight", "lm_head.weight"],
  ]);
});

test("modules have mergekit's names and order, their depth, and where config.json says it", () => {
  const t5 = recogniseArchitecture({ model_type: "t5", num_layers: 4 }, shapeless(Object.keys(encoderDecoder)));
  expect(t5.modules.map(({ name, layers, layerCount }) => [name, layers, layerCount])).toEqual([
    ["decoder", 2, ["num_decoder_layers"]],
    ["encoder", 4, ["num_layers"]],
    ["shared", 0, undefined],
  ]);
  const config = { model_type: "llava", text_config: {}, vision_config: { num_hidden_layers: 8 } };
  const llava = recogniseArchitecture(config, shapeless(Object.keys(visionLanguage)));
  expect(llava.modules.map(({ name, layers, layerCount }) => [name, layers, layerCount])).toEqual([
    ["text_decoder", 6, ["text_config", "num_hidden_layers"]],
    ["multi_modal_projector", 0, undefined],
    ["vision_tower", 8, ["vision_config", "num_hidden_layers"]],
  ]);
});

function placeOf(architecture: ReturnType<typeof recogniseArchitecture>, name: string): Expected {
  const { module, part, layer, predictor, tokens, optional } = architecture.place(name);
  const number = predictor === undefined ? layer : `+${predictor}`;
  const { modules } = architecture;
  const words = [modules.length > 1 ? modules[module]?.name : "", part, number, tokens, optional ? "optional" : ""];
  return words.filter((word) => word !== undefined && word !== "").join(" ");
}

function shapeless(names: readonly string[]): ReadonlyMap<string, { readonly shape: readonly number[] }> {
  return new Map(names.map((name) => [name, { shape: [] }]));
}

function withPrefix(places: Row[2], prefix: string): Row[2] {
  return Object.fromEntries(Object.entries(places).map(([name, place]) => [prefix + name, place]));
}

function withoutPrefix(places: Row[2], prefix: string): Row[2] {
  return Object.fromEntries(Object.entries(places).map(([name, place]) => [name.replace(prefix, ""), place]));
}
