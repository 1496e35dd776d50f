import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import { activationNames } from "../blocks/activation.js";
import { linear } from "../blocks/linear.js";
import { type ConfigReader, maxLayers } from "../config.js";
import type { GraphRequest } from "../types.js";
import { assertHeadsFit, type Transformer } from "./transformer.js";

/** The blocks of a tower. Defaults are transformers', where they are the same for both towers. */
export function readTower(
  config: ConfigReader,
  prefix: string,
  byDefault: { readonly width: number; readonly heads: number },
): Transformer {
  const width = config.size("hidden_size", byDefault.width);
  const heads = config.size("num_attention_heads", byDefault.heads);
  assertHeadsFit(config, width, heads);
  return {
    width,
    heads,
    layers: config.size("num_hidden_layers", 12, maxLayers),
    innerWidth: config.size("intermediate_size", 4 * byDefault.width),
    activation: config.word("hidden_act", "quick_gelu", activationNames),
    epsilon: config.number("layer_norm_eps", 1e-5),
    qkvBias: true,
    names: (layer) => {
      const block = `${prefix}encoder.layers.${layer}`;
      return {
        normBeforeAttention: `${block}.layer_norm1`,
        queries: `${block}.self_attn.q_proj`,
        keys: `${block}.self_attn.k_proj`,
        values: `${block}.self_attn.v_proj`,
        attentionOutput: `${block}.self_attn.out_proj`,
        normBeforeMlp: `${block}.layer_norm2`,
        up: `${block}.mlp.fc1`,
        down: `${block}.mlp.fc2`,
      };
    },
  };
}

/** Makes `vectors` of pooled states of [batch, width], by the projection `name` where the checkpoint has it. */
export function outputVectors(
  g: GraphBuilder,
  pooled: Value,
  { tensors }: GraphRequest,
  name: string,
  width: number,
): void {
  const out = tensors.get(`${name}.weight`)?.shape[0];
  const vectors = out === undefined ? pooled : linear(g, pooled, { name, in: width, out });
  g.output("vectors", vectors, "FLOAT", ["batch", out ?? width]);
}
