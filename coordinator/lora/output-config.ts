import { parseRemote } from "../../shared/remote/url.js";
import type { AdapterConfig } from "./config.js";

/** A base model as PEFT looks for it. */
export interface BaseModel {
  /** A folder, or `owner/name` on the Hub. */
  readonly base: string | null;
  /** Of a model on the Hub. Default: its main branch. */
  readonly revision?: string | undefined;
}

/** PEFT knows the Hub's models by name and revision, and no addresses. */
export function baseModelOf(name: string): BaseModel {
  const hub = parseRemote(name).address?.hub;
  if (hub === undefined || hub.path.length > 0) return { base: name };
  return { base: `${hub.owner}/${hub.name}`, revision: hub.revision };
}

export interface OutputConfig extends BaseModel {
  readonly taskType: string | null;
  /** Names of modules, or ends of them, or an expression. */
  readonly targets: readonly string[] | string;
  readonly modulesToSave: readonly string[];
  readonly bias: "none" | "lora_only";
  readonly fanInFanOut: boolean;
  /** The head among the modules to save is a copy of the embedding. */
  readonly headIsTied: boolean;
  /** By full name of the module. */
  readonly ranks: ReadonlyMap<string, number>;
}

/**
 * The `adapter_config.json` of factors that are to be applied as they are: alpha is the rank everywhere, so the scale is
 * 1. Modules whose rank is not the largest are listed one by one, as mergekit does.
 */
export function formatConfig(options: OutputConfig): Record<string, unknown> {
  const { base, revision, taskType, targets, modulesToSave, bias, fanInFanOut, headIsTied, ranks } = options;
  const rank = Math.max(1, ...ranks.values());
  const others = [...ranks].filter(([, own]) => own !== rank).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const pattern = Object.fromEntries(others.map(([name, own]) => [`^${escapeName(name)}`, own]));
  return {
    base_model_name_or_path: base,
    ...(revision === undefined ? {} : { revision }),
    bias,
    ...(headIsTied ? { ensure_weight_tying: true } : {}),
    fan_in_fan_out: fanInFanOut,
    inference_mode: true,
    lora_alpha: rank,
    lora_dropout: 0,
    modules_to_save: modulesToSave.length === 0 ? null : modulesToSave,
    peft_type: "LORA",
    r: rank,
    rank_pattern: pattern,
    alpha_pattern: pattern,
    target_modules: targets,
    task_type: taskType,
    use_rslora: false,
  } satisfies Partial<Record<keyof AdapterConfig | "revision" | "inference_mode" | "lora_dropout", unknown>>;
}

/** A name as an expression. A dot stays one: it stands for itself too, and the table stays readable. */
function escapeName(name: string): string {
  return name.replace(/[\\^$*+?()[\]{}|]/g, "\\$&");
}
