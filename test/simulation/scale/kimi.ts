import { assemblePlan } from "../../../coordinator/plan/assemble-plan.js";
import type { MergedTensor } from "../../../coordinator/plan/merged-tensor.js";
import type { Plan, PlannedInput } from "../../../coordinator/plan/types.js";
import { type Dtype, dtypeBits } from "../../../shared/checkpoint/dtypes.js";
import type { Program } from "../../../shared/expression/program.js";

/** Of Kimi-K2-Instruct's config.json: DeepSeek-V3's architecture, wider. */
const kimi = {
  layers: 61,
  denseLayers: 1,
  experts: 384,
  hidden: 7168,
  dense: 18_432,
  expert: 2048,
  vocabulary: 163_840,
};
/** Multi-head latent attention. */
const attention = { heads: 64, queryRank: 1536, valueRank: 512, rope: 64, headSize: 128 };
/** FP8 weights have a scale per block of so many rows and columns. */
const scaleBlock = 128;

export interface KimiOptions {
  /** Models of the same shapes that go into a tensor, the base included. @default 4 */
  readonly inputs?: number;
  /** Layers; fewer make a smaller model of the same kind. @default 61 */
  readonly layers?: number;
}

/**
 * A merge of models with the shapes of Kimi-K2: 139,583 tensors, 1,029 GB, in the dtypes in which it is published. The
 * program adds its inputs up, so everything is read once.
 */
export function kimiPlan({ inputs = 4, layers = kimi.layers }: KimiOptions = {}): Plan {
  const program = addition(inputs);
  const tensors = [...kimiTensors(layers)].map(([name, dtype, shape]): MergedTensor => {
    const bytes = (shape.reduce((product, size) => product * size, 1) * dtypeBits(dtype)) / 8;
    // Where in its file an input stands makes no difference here.
    const stored = Array.from({ length: inputs }, (_, model): PlannedInput => {
      return { model, source: model, offset: 0, dtype, bytes };
    });
    return { name, dtype, shape, program, parameters: [], inputs: stored, randomStreams: undefined };
  });
  const companions = { configFrom: 0, configEdits: [], tokenizerFrom: 0, files: new Map(), withheld: [] };
  return assemblePlan({ method: "sum", seed: 0, models: [], sources: [], companions, warnings: [], tensors }, {});
}

function* kimiTensors(layers: number): Generator<[name: string, dtype: Dtype, shape: readonly number[]]> {
  const { hidden, vocabulary, dense, expert, experts, denseLayers } = kimi;
  const { heads, queryRank, valueRank, rope, headSize } = attention;
  yield ["model.embed_tokens.weight", "BF16", [vocabulary, hidden]];
  for (let layer = 0; layer < layers; layer += 1) {
    const prefix = `model.layers.${layer}`;
    yield [`${prefix}.input_layernorm.weight`, "BF16", [hidden]];
    yield [`${prefix}.post_attention_layernorm.weight`, "BF16", [hidden]];
    yield [`${prefix}.self_attn.q_a_layernorm.weight`, "BF16", [queryRank]];
    yield [`${prefix}.self_attn.kv_a_layernorm.weight`, "BF16", [valueRank]];
    yield* quantized(`${prefix}.self_attn.q_a_proj`, queryRank, hidden);
    yield* quantized(`${prefix}.self_attn.q_b_proj`, heads * (headSize + rope), queryRank);
    yield* quantized(`${prefix}.self_attn.kv_a_proj_with_mqa`, valueRank + rope, hidden);
    yield* quantized(`${prefix}.self_attn.kv_b_proj`, heads * 2 * headSize, valueRank);
    yield* quantized(`${prefix}.self_attn.o_proj`, hidden, heads * headSize);
    if (layer < denseLayers) {
      yield* feedForward(`${prefix}.mlp`, dense, hidden);
      continue;
    }
    yield [`${prefix}.mlp.gate.weight`, "BF16", [experts, hidden]];
    yield [`${prefix}.mlp.gate.e_score_correction_bias`, "F32", [experts]];
    yield* feedForward(`${prefix}.mlp.shared_experts`, expert, hidden);
    for (let i = 0; i < experts; i += 1) yield* feedForward(`${prefix}.mlp.experts.${i}`, expert, hidden);
  }
  yield ["model.norm.weight", "BF16", [hidden]];
  yield ["lm_head.weight", "BF16", [vocabulary, hidden]];
}

function* feedForward(prefix: string, size: number, hidden: number): ReturnType<typeof kimiTensors> {
  yield* quantized(`${prefix}.gate_proj`, size, hidden);
  yield* quantized(`${prefix}.up_proj`, size, hidden);
  yield* quantized(`${prefix}.down_proj`, hidden, size);
}

function* quantized(name: string, rows: number, columns: number): ReturnType<typeof kimiTensors> {
  yield [`${name}.weight`, "F8_E4M3", [rows, columns]];
  yield [`${name}.weight_scale_inv`, "F32", [Math.ceil(rows / scaleBlock), Math.ceil(columns / scaleBlock)]];
}

function addition(inputs: number): Program {
  const nodes: Program["nodes"][number][] = [];
  for (let i = 0; i < inputs; i += 1) nodes.push({ op: "input", args: [], value: i });
  for (let i = 1; i < inputs; i += 1) nodes.push({ op: "add", args: [i === 1 ? 0 : nodes.length - 1, i], value: 0 });
  return { nodes, output: nodes.length - 1, inputs, parameters: [] };
}
