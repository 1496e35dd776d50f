import type { JsonValue } from "../../shared/checkpoint/json-value.js";
import type { ConfigEdit } from "../architecture/config-edits.js";
import { valueAt } from "../architecture/config-value.js";
import type { MoeLayout, MoeNumbers } from "./layouts.js";

/** What transformers 5 assumes of a dense model whose config.json does not say. */
const assumed: Readonly<Record<string, Readonly<Record<string, JsonValue>>>> = {
  llama: { max_position_embeddings: 2048, bos_token_id: 1, eos_token_id: 2 },
  mistral: { num_key_value_heads: 8, max_position_embeddings: 131_072, bos_token_id: 1, eos_token_id: 2 },
  qwen2: { num_key_value_heads: 32, max_position_embeddings: 32_768 },
  qwen3: { num_key_value_heads: 32, max_position_embeddings: 32_768, head_dim: 128 },
};
const alwaysAssumed = { num_attention_heads: 32, rms_norm_eps: 1e-6, hidden_act: "silu", tie_word_embeddings: false };
const assumedTheta = 10_000;

/**
 * What makes a dense model's config.json that of a mixture. The classes of transformers have other defaults (Mixtral's
 * `rope_theta` is a hundred times Llama's), so whatever a dense config left to its own class is said here.
 */
export function moeConfigEdits(
  config: unknown,
  modelType: string,
  layout: MoeLayout,
  numbers: MoeNumbers,
): ConfigEdit[] {
  const heads = valueAt(config, ["num_attention_heads"]);
  const fallbacks: Record<string, JsonValue> = {
    ...alwaysAssumed,
    num_key_value_heads: typeof heads === "number" ? heads : alwaysAssumed.num_attention_heads,
    ...assumed[modelType],
  };
  const edits: ConfigEdit[] = Object.entries(fallbacks)
    .filter(([key]) => (valueAt(config, [key]) ?? null) === null)
    .map(([key, value]) => ({ path: [key], value }));
  const thetas = [["rope_theta"], ["rope_parameters", "rope_theta"]];
  if (thetas.every((path) => valueAt(config, path) === undefined)) {
    edits.push({ path: ["rope_theta"], value: assumedTheta });
  }
  const settings = layout.settings(numbers);
  for (const [key, value] of Object.entries(settings)) edits.push({ path: [key], value });
  const types = valueAt(config, ["layer_types"]);
  // A list of layers that slide their window contradicts a model that has none.
  if (settings["sliding_window"] === null && Array.isArray(types)) {
    edits.push({ path: ["layer_types"], value: types.map(() => "full_attention") });
  }
  return edits;
}
