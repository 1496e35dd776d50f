import { closeSync, existsSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { narrow } from "../shared/checkpoint/convert.js";
import { formatHeader } from "../shared/checkpoint/header.js";

/** A Llama checkpoint in bf16 with as many layers as come closest to a size in bytes. */
export interface BenchModel {
  readonly directory: string;
  /** The weights' file, and its size. */
  readonly file: string;
  readonly bytes: number;
}

interface Architecture {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
}

type Shape = readonly [name: string, shape: readonly number[]];

const vocabulary = 32_000;
const headSize = 64;

/** Small models are narrow as well, lest they be all embeddings. */
function architectureFor(bytes: number): Architecture {
  const hidden = bytes >= 8e8 ? 2048 : bytes >= 2e8 ? 1024 : 512;
  const intermediate = (hidden * 11) / 4;
  const perLayer = bytesOf(layerShapes({ hidden, intermediate }, 0));
  const layers = Math.max(1, Math.round((bytes - 4 * vocabulary * hidden) / perLayer));
  return { hidden, intermediate, layers };
}

function layerShapes({ hidden, intermediate }: Omit<Architecture, "layers">, layer: number): readonly Shape[] {
  const part = (name: string, shape: readonly number[]): Shape => [`model.layers.${layer}.${name}.weight`, shape];
  return [
    part("input_layernorm", [hidden]),
    ...["q_proj", "k_proj", "v_proj", "o_proj"].map((name) => part(`self_attn.${name}`, [hidden, hidden])),
    part("post_attention_layernorm", [hidden]),
    ...["gate_proj", "up_proj"].map((name) => part(`mlp.${name}`, [intermediate, hidden])),
    part("mlp.down_proj", [hidden, intermediate]),
  ];
}

function shapesOf(architecture: Architecture): readonly Shape[] {
  const { hidden, layers } = architecture;
  return [
    ["model.embed_tokens.weight", [vocabulary, hidden]],
    ...Array.from({ length: layers }, (_, layer) => layerShapes(architecture, layer)).flat(),
    ["model.norm.weight", [hidden]],
    ["lm_head.weight", [vocabulary, hidden]],
  ];
}

function bytesOf(shapes: readonly Shape[]): number {
  return shapes.reduce((sum, [, shape]) => sum + 2 * shape.reduce((product, size) => product * size, 1), 0);
}

/** As complete as a tool that knows Llama wants it. */
function configOf({ hidden, intermediate, layers }: Architecture): unknown {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: layers,
    num_attention_heads: hidden / headSize,
    num_key_value_heads: hidden / headSize,
    vocab_size: vocabulary,
    max_position_embeddings: 2048,
    hidden_act: "silu",
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: false,
    bos_token_id: 1,
    eos_token_id: 2,
    torch_dtype: "bfloat16",
  };
}

/**
 * Writes a base (`variant` 0) or an expert of it: weights of a fixed pseudo-random pattern, experts moved by a few
 * percent of it. The content repeats every 8 Mi elements, which no part of a merge can notice or use.
 */
export function makeModel(directory: string, bytes: number, variant: number): BenchModel {
  const architecture = architectureFor(bytes);
  const shapes = shapesOf(architecture);
  const header = formatHeader(shapes.map(([name, shape]) => ({ name, dtype: "BF16", shape })));
  const data = bytesOf(shapes);
  const file = join(directory, "model.safetensors");
  if (!existsSync(file)) {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "config.json"), JSON.stringify(configOf(architecture)));
    const pattern = patternOf(variant);
    const descriptor = openSync(file, "w");
    writeSync(descriptor, header);
    for (let at = 0; at < data; at += pattern.length) {
      writeSync(descriptor, pattern.subarray(0, Math.min(pattern.length, data - at)));
    }
    closeSync(descriptor);
  }
  return { directory, file, bytes: header.length + data };
}

/** A base and three experts of it, made once for all benchmarks that want this size. */
export function makeModels(folder: string, bytes: number): readonly BenchModel[] {
  return ["base", "a", "b", "c"].map((name, variant) => makeModel(join(folder, `${bytes}`, name), bytes, variant));
}

/** A model of this many tensors of 2 KB each, all zeros. */
export function makeTinyModel(directory: string, tensors: number): void {
  const shape = [32, 32];
  const names = Array.from({ length: tensors }, (_, i) => `model.layers.${i}.weight`);
  const header = formatHeader(names.map((name) => ({ name, dtype: "BF16", shape })));
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "model.safetensors"), Buffer.concat([header, Buffer.alloc(2 * 32 * 32 * tensors)]));
}

/** Elements of a base or an expert, as bf16. */
export function patternOf(variant: number, elements = 1 << 23): Uint8Array {
  const base = uniforms(elements, 1);
  const moved = uniforms(elements, variant + 1);
  const share = variant === 0 ? 0 : 0.05;
  return narrow(
    "BF16",
    base.map((x, i) => 0.04 * (x + share * (moved[i] ?? 0) ** 3)),
  );
}

/** Numbers in [−1, 1) from a 32-bit xorshift. */
function uniforms(count: number, seed: number): Float32Array {
  let state = (seed * 0x9e3779b9) | 1;
  return new Float32Array(count).map(() => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state / 0x8000_0000;
  });
}
