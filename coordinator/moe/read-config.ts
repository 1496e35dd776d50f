import { dtypeFromRecipe, recipeDtypeNames } from "../../shared/checkpoint/dtypes.js";
import { quote } from "../../shared/quote.js";
import { allOrNone, Complaints } from "../recipe/complaints.js";
import { Fields } from "../recipe/fields.js";
import { readText } from "../recipe/read.js";
import { readModelReference } from "../recipe/reference.js";
import { describe, didYouMeanOrOneOf } from "../recipe/wording.js";
import { isNull, numberOf, type YamlNode } from "../recipe/yaml/node.js";
import { readYaml } from "../recipe/yaml/read.js";
import { type CheckOptions, checkConfig } from "./check-config.js";
import { type GateMode, gateModes, type MoeConfig, type MoeExpert } from "./config.js";

const configKeys = [
  "base_model",
  "experts",
  "shared_experts",
  "gate_mode",
  "dtype",
  "experts_per_token",
  "architecture",
  "seed",
];
const expertKeys = ["source_model", "positive_prompts", "negative_prompts", "noise_scale", "residual_scale"];

/** Reads a mergekit-moe config file. No more of it is read than a recipe may have. */
export async function readMoeConfig(file: string, options: CheckOptions = {}): Promise<MoeConfig> {
  return parseMoeConfig(await readText(file, "config"), file, options);
}

/**
 * Reads a config in the language of mergekit-moe, and `seed`, which is ours. Throws `recipe_invalid` with a line for
 * every complaint, what checkConfig() finds included.
 */
export function parseMoeConfig(text: string, file: string, options: CheckOptions = {}): MoeConfig {
  const complaints = new Complaints(file);
  const [root, second] = readYaml(text, complaints, "config").filter((document) => !isNull(document));
  if (root === undefined) return complaints.fail({ line: 1, column: 1 }, "The config is empty");
  if (second !== undefined) complaints.add(second.at, "There are several configs in the file, expected one");
  const config = new ConfigReader(complaints).read(root, file, text);
  if (config !== undefined) checkConfig(config, options, complaints);
  if (config === undefined || complaints.any) throw complaints.error();
  return config;
}

class ConfigReader {
  readonly #complaints: Complaints;

  constructor(complaints: Complaints) {
    this.#complaints = complaints;
  }

  read(root: YamlNode, file: string, text: string): MoeConfig | undefined {
    if (root.kind !== "mapping") {
      return this.#complaints.add(root.at, `A config must be a mapping, found ${describe(root)}`);
    }
    const fields = new Fields(root, this.#complaints);
    fields.checkKeys(configKeys);
    const base = fields.has("base_model")
      ? readModelReference(fields, "base_model", this.#complaints)
      : fields.missing("base_model");
    const experts = fields.has("experts") ? this.#experts(fields, "experts") : fields.missing("experts");
    const sharedExperts = this.#experts(fields, "shared_experts");
    const gateMode = this.#gateMode(fields);
    const dtype = this.#dtype(fields);
    const expertsPerToken = fields.wholeNumber("experts_per_token", 1) ?? 2;
    const architecture = fields.text("architecture");
    const seed = fields.wholeNumber("seed", 0) ?? 0;
    if (base === undefined || experts === undefined || sharedExperts === undefined || gateMode === undefined) {
      return undefined;
    }
    const expertsAt = fields.entry("experts")?.keyAt ?? root.at;
    const names = { file, text, expertsAt };
    return { ...names, base, experts, sharedExperts, gateMode, dtype, expertsPerToken, architecture, seed };
  }

  #experts(fields: Fields, key: string): MoeExpert[] | undefined {
    if (!fields.has(key)) return [];
    return allOrNone(fields.list(key)?.items.map((item) => this.#expert(item)) ?? [undefined]);
  }

  #expert(node: YamlNode): MoeExpert | undefined {
    if (node.kind !== "mapping") {
      return this.#complaints.add(node.at, `An expert must be a mapping with "source_model", found ${describe(node)}`);
    }
    const fields = new Fields(node, this.#complaints);
    fields.checkKeys(expertKeys);
    const model = fields.has("source_model")
      ? readModelReference(fields, "source_model", this.#complaints)
      : fields.missing("source_model");
    const positivePrompts = this.#prompts(fields, "positive_prompts");
    const negativePrompts = this.#prompts(fields, "negative_prompts");
    const noiseScale = this.#number(fields, "noise_scale");
    const residualScale = this.#number(fields, "residual_scale");
    if (model === undefined || positivePrompts === undefined || negativePrompts === undefined) return undefined;
    return { at: node.at, model, positivePrompts, negativePrompts, noiseScale, residualScale };
  }

  #prompts(fields: Fields, key: string): readonly string[] | undefined {
    if (!fields.has(key)) return [];
    const prompts = fields.list(key)?.items.map((item) => {
      if (item.kind === "scalar" && typeof item.value === "string") return item.value;
      return this.#complaints.add(item.at, `A prompt must be a string, found ${describe(item)}: put it in quotes`);
    });
    return prompts && allOrNone(prompts);
  }

  #number(fields: Fields, key: string): number | undefined {
    const node = fields.entry(key)?.value;
    const number = node && numberOf(node);
    if (node === undefined || (number !== undefined && Number.isFinite(number))) return number;
    return this.#complaints.add(node.at, `Key ${quote(key)} must be a finite number, found ${describe(node)}`);
  }

  #gateMode(fields: Fields): GateMode | undefined {
    if (!fields.has("gate_mode")) return "hidden";
    const written = fields.text("gate_mode");
    if (written === undefined) return undefined;
    const { value, at } = written;
    const mode = gateModes.find((candidate) => candidate === value);
    return mode ?? this.#complaints.add(at, `Unknown gate_mode ${quote(value)}${didYouMeanOrOneOf(value, gateModes)}`);
  }

  #dtype(fields: Fields): MoeConfig["dtype"] {
    const name = fields.text("dtype");
    if (name === undefined) return undefined;
    const known = didYouMeanOrOneOf(name.value, recipeDtypeNames);
    return dtypeFromRecipe(name.value) ?? this.#complaints.add(name.at, `Unknown dtype ${quote(name.value)}${known}`);
  }
}
