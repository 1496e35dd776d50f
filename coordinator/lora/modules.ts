import type { CheckpointTensor } from "../../shared/checkpoint/open.js";
import { formatCount, quote, quoteList } from "../../shared/quote.js";
import type { Adapter } from "./adapter.js";
import type { AdapterConfig } from "./config.js";
import { matchPatterns } from "./patterns.js";
import { readTensorName } from "./tensor-names.js";

/** A module that an adapter adapts: scale · B A is added to its weight. */
export interface AdapterModule {
  /** Its name in the model, as the adapter has it: `model.layers.0.self_attn.q_proj`. */
  readonly name: string;
  /** rank × in; of an embedding, rank × vocabulary. */
  readonly a: CheckpointTensor;
  /** out × rank; of an embedding, hidden × rank. */
  readonly b: CheckpointTensor;
  readonly isEmbedding: boolean;
  readonly rank: number;
  /** alpha / rank, or alpha / √rank (Kalajdzievski 2023, rsLoRA). */
  readonly scale: number;
}

/** A tensor that stands in for one of the base's. */
export interface WholeTensor {
  readonly tensor: CheckpointTensor;
  /** Its module has factors, which are added to this. */
  readonly isUnderneath: boolean;
}

export interface AdapterModules {
  readonly modules: readonly AdapterModule[];
  /** By the base's name as the adapter has it. */
  readonly whole: ReadonlyMap<string, WholeTensor>;
  /** What Amalgam cannot apply, each a sentence. */
  readonly problems: readonly string[];
  /** What is left out, as PEFT leaves it out, each a sentence. */
  readonly warnings: readonly string[];
}

/** What an adapter says, before it meets a base. Pure. */
export function readModules({ checkpoint, config }: Adapter): AdapterModules {
  const problems = [...unsupported(config)];
  if (config.peft_type !== "LORA") return { modules: [], whole: new Map(), problems, warnings: [] };
  const found = new Map<string, Partial<Record<"A" | "B", CheckpointTensor>> & { isEmbedding: boolean }>();
  const whole = new Map<string, WholeTensor>();
  const foreign: string[] = [];
  const ignored: string[] = [];
  for (const [key, tensor] of checkpoint.tensors) {
    const read = readTensorName(key);
    if (read.kind === "whole") whole.set(read.name, { tensor, isUnderneath: read.isUnderneath });
    else if (read.kind === "foreign") foreign.push(key);
    else if (read.kind === "bias of B") ignored.push(key);
    else {
      const factors = found.get(read.module) ?? { isEmbedding: read.isEmbedding };
      factors[read.factor] = tensor;
      found.set(read.module, factors);
    }
  }
  if (foreign.length > 0) problems.push(`${plural(foreign, "tensor")} of no kind that LoRA has: ${quoteList(foreign)}`);
  const isPlain = found.size > 0 || whole.size > 0 || foreign.length > 0;
  if (!isPlain) problems.push("it has no tensors");
  const names = [...found.keys()];
  const ranks = matchPatterns(config.rank_pattern, names);
  const alphas = matchPatterns(config.alpha_pattern, names);
  const modules: AdapterModule[] = [];
  for (const [name, { A: a, B: b, isEmbedding }] of found) {
    const problem = problemOf(name, a, b, ranks.get(name) ?? config.r);
    if (problem !== undefined) problems.push(problem);
    if (problem !== undefined || a === undefined || b === undefined) continue;
    const rank = ranks.get(name) ?? config.r;
    const scale = (alphas.get(name) ?? config.lora_alpha) / (config.use_rslora ? Math.sqrt(rank) : rank);
    modules.push({ name, a, b, isEmbedding, rank, scale });
  }
  const warnings =
    ignored.length === 0 || config.lora_bias
      ? []
      : [`biases of B are ignored, since "lora_bias" is not set: ${quoteList(ignored)}`];
  return { modules, whole, problems, warnings };
}

function problemOf(
  name: string,
  a: CheckpointTensor | undefined,
  b: CheckpointTensor | undefined,
  rank: number,
): string | undefined {
  if (a === undefined || b === undefined) return `module ${quote(name)} has no factor ${a === undefined ? "A" : "B"}`;
  if (a.shape.length !== 2 || b.shape.length !== 2) {
    const dimensions = Math.max(a.shape.length, b.shape.length);
    return `module ${quote(name)} has factors of ${dimensions} dimensions, and only matrices can be applied`;
  }
  const [rows, columns] = [a.shape[0], b.shape[1]];
  if (rows === rank && columns === rank) return undefined;
  return `module ${quote(name)} has factors of rank ${rows} and ${columns}, and its configuration says ${rank}`;
}

/** Ways of training that change more than a product of two matrices can say. */
function unsupported(config: AdapterConfig): readonly string[] {
  if (config.peft_type !== "LORA") return [`it is of PEFT's type ${quote(config.peft_type)}, and only LORA is known`];
  const isSet = (value: unknown): boolean =>
    value !== undefined && value !== null && value !== false && !(Array.isArray(value) && value.length === 0);
  const kinds: readonly (readonly [set: unknown, sentence: string])[] = [
    [config.use_dora, "it is a DoRA adapter, which rescales the columns of the merged weight"],
    [config.use_qalora, "it is a QALoRA adapter, which pools its inputs"],
    [config.lora_bias, 'it adds to biases ("lora_bias")'],
    [config.target_parameters, 'it adapts bare parameters such as fused experts ("target_parameters")'],
    [config.trainable_token_indices, 'it trains single rows of the embedding ("trainable_token_indices")'],
    [config.layer_replication, 'it repeats layers of its base ("layer_replication")'],
    [config.alora_invocation_tokens, "it is an activated LoRA, which works on some tokens only and cannot be merged"],
    [config.arrow_config, "it routes between adapters (Arrow), which cannot be merged"],
    [config.kasa_config, "it is a KaSA adapter, which changes its base"],
    [config.monteclora_config, "it is a MonteCLoRA adapter, which draws random numbers"],
    [config.use_bdlora, "it is a block-diagonal adapter (BD-LoRA)"],
  ];
  const sentences = kinds.filter(([set]) => isSet(set)).map(([, sentence]) => sentence);
  const start = config.init_lora_weights;
  if (typeof start === "string" && /^(?:pissa|olora|corda|loftq|lora_ga)/.test(start)) {
    sentences.push(
      `its training took its first factors out of the base (${quote(start)}), so it does not fit the base as it is: ` +
        "save it once more with PEFT's path_initial_model_for_weight_conversion",
    );
  }
  return sentences;
}

function plural(list: readonly unknown[], singular: string): string {
  return `${formatCount(list.length)} ${singular}${list.length === 1 ? "" : "s"}`;
}
