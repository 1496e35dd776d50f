import { closeSync, existsSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { formatHeader } from "../shared/checkpoint/header.js";
import { patternOf } from "./checkpoints.js";

/** An architecture as a published model has it. */
export interface EvaluatedModel {
  readonly config: Readonly<Record<string, unknown>>;
  readonly shapes: readonly Shape[];
}

type Shape = readonly [name: string, shape: readonly number[]];

interface LlamaSizes {
  readonly hidden: number;
  readonly inner: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly vocabulary: number;
  readonly tied: boolean;
}

/** SmolLM2-135M: 134.5 million weights. */
export function smolLm(): EvaluatedModel {
  const sizes = { hidden: 576, inner: 1536, layers: 30, heads: 9, keyHeads: 3 };
  return llama({ ...sizes, vocabulary: 49_152, tied: true });
}

/** TinyLlama 1.1B with as many of its layers as come closest to a size in bytes. */
export function tinyLlama(bytes: number): EvaluatedModel {
  const sizes = { hidden: 2048, inner: 5632, heads: 32, keyHeads: 4, vocabulary: 32_000, tied: false };
  const [none, one] = [0, 1].map((layers) => bytesOf(llama({ ...sizes, layers }).shapes)) as [number, number];
  return llama({ ...sizes, layers: Math.max(1, Math.round((bytes - none) / (one - none))) });
}

function llama({ hidden, inner, layers, heads, keyHeads, vocabulary, tied }: LlamaSizes): EvaluatedModel {
  const keyWidth = (hidden / heads) * keyHeads;
  const layer = (number: number): Shape[] => {
    const part = (name: string, ...shape: number[]): Shape => [`model.layers.${number}.${name}.weight`, shape];
    return [
      part("input_layernorm", hidden),
      part("self_attn.q_proj", hidden, hidden),
      part("self_attn.k_proj", keyWidth, hidden),
      part("self_attn.v_proj", keyWidth, hidden),
      part("self_attn.o_proj", hidden, hidden),
      part("post_attention_layernorm", hidden),
      part("mlp.gate_proj", inner, hidden),
      part("mlp.up_proj", inner, hidden),
      part("mlp.down_proj", hidden, inner),
    ];
  };
  return {
    config: {
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      ...{ hidden_size: hidden, intermediate_size: inner, num_hidden_layers: layers, vocab_size: vocabulary },
      ...{ num_attention_heads: heads, num_key_value_heads: keyHeads, max_position_embeddings: 2048 },
      ...{ hidden_act: "silu", rms_norm_eps: 1e-5, rope_theta: 10_000, tie_word_embeddings: tied },
      ...{ bos_token_id: 0, eos_token_id: 0 },
    },
    shapes: [
      ["model.embed_tokens.weight", [vocabulary, hidden]],
      ...times(layers, layer),
      ["model.norm.weight", [hidden]],
      ...(tied ? [] : [["lm_head.weight", [vocabulary, hidden]] as const]),
    ],
  };
}

/** BERT base, uncased: 109 million weights. */
export function bertBase(): EvaluatedModel {
  const [hidden, inner, layers, vocabulary, positions] = [768, 3072, 12, 30_522, 512];
  const layer = (number: number): Shape[] => {
    const at = (name: string) => `encoder.layer.${number}.${name}`;
    return [
      ...["query", "key", "value"].flatMap((name) => linear(at(`attention.self.${name}`), hidden, hidden)),
      ...linear(at("attention.output.dense"), hidden, hidden),
      ...norm(at("attention.output.LayerNorm"), hidden),
      ...linear(at("intermediate.dense"), hidden, inner),
      ...linear(at("output.dense"), inner, hidden),
      ...norm(at("output.LayerNorm"), hidden),
    ];
  };
  return {
    config: {
      architectures: ["BertModel"],
      model_type: "bert",
      ...{ hidden_size: hidden, intermediate_size: inner, num_hidden_layers: layers, num_attention_heads: 12 },
      ...{ vocab_size: vocabulary, max_position_embeddings: positions, type_vocab_size: 2 },
      ...{ hidden_act: "gelu", layer_norm_eps: 1e-12, pad_token_id: 0 },
    },
    shapes: [
      ["embeddings.word_embeddings.weight", [vocabulary, hidden]],
      ["embeddings.position_embeddings.weight", [positions, hidden]],
      ["embeddings.token_type_embeddings.weight", [2, hidden]],
      ...norm("embeddings.LayerNorm", hidden),
      ...times(layers, layer),
      ...linear("pooler.dense", hidden, hidden),
    ],
  };
}

/** ViT-B/16 for 224 × 224 pixels and 1,000 classes: 86.6 million weights. */
export function vitBase(): EvaluatedModel {
  const [hidden, inner, layers, patch, size, classes] = [768, 3072, 12, 16, 224, 1000];
  const layer = (number: number): Shape[] => {
    const at = (name: string) => `vit.encoder.layer.${number}.${name}`;
    return [
      ...norm(at("layernorm_before"), hidden),
      ...["query", "key", "value"].flatMap((name) => linear(at(`attention.attention.${name}`), hidden, hidden)),
      ...linear(at("attention.output.dense"), hidden, hidden),
      ...norm(at("layernorm_after"), hidden),
      ...linear(at("intermediate.dense"), hidden, inner),
      ...linear(at("output.dense"), inner, hidden),
    ];
  };
  return {
    config: {
      architectures: ["ViTForImageClassification"],
      model_type: "vit",
      ...{ hidden_size: hidden, intermediate_size: inner, num_hidden_layers: layers, num_attention_heads: 12 },
      ...{ image_size: size, patch_size: patch, num_channels: 3, hidden_act: "gelu", layer_norm_eps: 1e-12 },
      id2label: Object.fromEntries(Array.from({ length: classes }, (_, i) => [i, `class ${i}`])),
    },
    shapes: [
      ["vit.embeddings.cls_token", [1, 1, hidden]],
      ["vit.embeddings.position_embeddings", [1, (size / patch) ** 2 + 1, hidden]],
      ["vit.embeddings.patch_embeddings.projection.weight", [hidden, 3, patch, patch]],
      ["vit.embeddings.patch_embeddings.projection.bias", [hidden]],
      ...times(layers, layer),
      ...norm("vit.layernorm", hidden),
      ...linear("classifier", hidden, classes),
    ],
  };
}

function times(layers: number, layer: (number: number) => Shape[]): Shape[] {
  return Array.from({ length: layers }, (_, number) => layer(number)).flat();
}

function bytesOf(shapes: readonly Shape[]): number {
  return shapes.reduce((total, [, shape]) => total + 2 * shape.reduce((product, size) => product * size, 1), 0);
}

function linear(name: string, from: number, to: number): Shape[] {
  return [
    [`${name}.weight`, [to, from]],
    [`${name}.bias`, [to]],
  ];
}

function norm(name: string, width: number): Shape[] {
  return [
    [`${name}.weight`, [width]],
    [`${name}.bias`, [width]],
  ];
}

/**
 * Writes it in bf16, unless it is there: norms of ones, all else pseudo-random numbers as small as those that training
 * begins with.
 */
export function writeEvaluated(directory: string, { config, shapes }: EvaluatedModel): string {
  const file = join(directory, "model.safetensors");
  if (existsSync(file)) return directory;
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "config.json"), JSON.stringify(config));
  const pattern = patternOf(0);
  const descriptor = openSync(file, "w");
  const metadata = new Map([["format", "pt"]]);
  writeSync(
    descriptor,
    formatHeader(
      shapes.map(([name, shape]) => ({ name, dtype: "BF16", shape })),
      metadata,
    ),
  );
  let at = 0;
  for (const [name, shape] of shapes) {
    const bytes = 2 * shape.reduce((product, size) => product * size, 1);
    if (/norm\S*\.weight$/i.test(name)) {
      writeSync(descriptor, new Uint8Array(new Uint16Array(bytes / 2).fill(bf16One).buffer));
      continue;
    }
    for (let written = 0; written < bytes; ) {
      const part = pattern.subarray(at, at + Math.min(pattern.length - at, bytes - written));
      written += writeSync(descriptor, part);
      at = (at + part.length) % pattern.length;
    }
  }
  closeSync(descriptor);
  return directory;
}

const bf16One = 0x3f80;
