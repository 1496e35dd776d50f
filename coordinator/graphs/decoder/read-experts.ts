import { type ConfigReader, maxLayers } from "../config.js";
import type { Mixture } from "./mixture.js";

/** Of all layers together. Each takes 830 bytes of a body and of a step, and a model's graphs travel in one message. */
const maxExperts = 8_192;

/** How many experts there are in a layer, and how many of them a token is given to. */
export function readExperts(
  config: ConfigReader,
  byDefault: { readonly experts: number; readonly chosen: number },
): Pick<Mixture, "experts" | "chosen"> {
  // transformers 5 writes the second where others write the first.
  const key = ["num_experts", "num_local_experts"].find((key) => config.has(key)) ?? "num_local_experts";
  const layers = config.size("num_hidden_layers", undefined, maxLayers);
  const experts = config.size(key, byDefault.experts, Math.floor(maxExperts / layers));
  const chosen = config.size("num_experts_per_tok", byDefault.chosen);
  if (chosen > experts) throw config.fail("num_experts_per_tok", `of only ${experts} experts`);
  return { experts, chosen };
}
