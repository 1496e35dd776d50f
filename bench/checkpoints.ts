import { closeSync, existsSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { narrow } from "../shared/checkpoint/convert.js";
import { formatHeader } from "../shared/checkpoint/header.js";

/** A Llama-like checkpoint in bf16, cut to a size in bytes. */
export interface BenchModel {
  readonly directory: string;
  readonly bytes: number;
}

const hidden = 2048;
const intermediate = 5632;
const vocabulary = 32_000;

/** Tensor names and shapes of as many layers as fit `bytes`, and the embeddings. */
function shapesOf(bytes: number): readonly (readonly [string, readonly number[]])[] {
  const shapes: (readonly [string, readonly number[]])[] = [["model.embed_tokens.weight", [vocabulary, hidden]]];
  let left = bytes - 2 * vocabulary * hidden;
  for (let layer = 0; left > 0; layer += 1) {
    const name = (part: string): string => `model.layers.${layer}.${part}.weight`;
    const members = [
      [name("input_layernorm"), [hidden]],
      ...["q_proj", "k_proj", "v_proj", "o_proj"].map((p) => [name(`self_attn.${p}`), [hidden, hidden]] as const),
      [name("post_attention_layernorm"), [hidden]],
      ...["gate_proj", "up_proj"].map((p) => [name(`mlp.${p}`), [intermediate, hidden]] as const),
      [name("mlp.down_proj"), [hidden, intermediate]],
    ] as const;
    for (const [tensor, shape] of members) {
      const size = 2 * shape.reduce((product, dimension) => product * dimension, 1);
      if (left <= 0) break;
      shapes.push([tensor, shape]);
      left -= size;
    }
  }
  return shapes;
}

/**
 * Writes a base (`variant` 0) or an expert of it: weights of a fixed pseudo-random pattern, experts moved by a few
 * percent of it. The content repeats every 8 Mi elements, which no part of a merge can notice or use.
 */
export function makeModel(directory: string, bytes: number, variant: number): BenchModel {
  const shapes = shapesOf(bytes);
  const header = formatHeader(shapes.map(([name, shape]) => ({ name, dtype: "BF16", shape })));
  const data = shapes.reduce((sum, [, shape]) => sum + 2 * shape.reduce((p, d) => p * d, 1), 0);
  if (!existsSync(join(directory, "model.safetensors"))) {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "config.json"), JSON.stringify({ model_type: "llama", hidden_size: hidden }));
    const pattern = patternOf(variant);
    const file = openSync(join(directory, "model.safetensors"), "w");
    writeSync(file, header);
    for (let at = 0; at < data; at += pattern.length) {
      writeSync(file, pattern.subarray(0, Math.min(pattern.length, data - at)));
    }
    closeSync(file);
  }
  return { directory, bytes: header.length + data };
}

function patternOf(variant: number): Uint8Array {
  const elements = 1 << 23;
  const base = uniforms(elements, 1);
  const moved = uniforms(elements, variant + 1);
  const share = variant === 0 ? 0 : 0.05;
  return narrow("BF16", base.map((x, i) => 0.04 * (x + share * (moved[i] ?? 0) ** 3)));
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
