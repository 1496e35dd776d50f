import { z } from "zod";
import { parseConfig } from "../../shared/checkpoint/config.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";

/** Ranks of published adapters end near 1,024. */
const maxRank = 65_536;
/** Most entries of a pattern table: one for every module of the largest published models. */
const maxPatterns = 200_000;
const maxPatternLength = 1_024;

const rank = z.number().int().min(1).max(maxRank);
const strings = z.union([z.array(z.string()).max(maxPatterns), z.string()]).nullable();

function patterns<T extends z.ZodType>(value: T) {
  return z
    .record(z.string().max(maxPatternLength), value)
    .nullable()
    .transform((table) => new Map(Object.entries(table ?? {})))
    .refine((table) => table.size <= maxPatterns, `has more than ${maxPatterns} entries`)
    .prefault({});
}

/**
 * What of PEFT's `LoraConfig` says how an adapter applies, with PEFT's names and defaults (0.21). Keys that only matter in
 * training are left out, and so are those that we do not know: other versions of PEFT write others.
 */
const adapterConfig = z.object({
  peft_type: z.string(),
  base_model_name_or_path: z.string().nullable().default(null),
  task_type: z.string().nullable().default(null),
  r: rank.default(8),
  lora_alpha: z.number().default(8),
  use_rslora: z.boolean().default(false),
  fan_in_fan_out: z.boolean().default(false),
  /** Regular expressions for modules' names, and what stands in for `r` and `lora_alpha` there. */
  rank_pattern: patterns(rank),
  alpha_pattern: patterns(z.number()),
  target_modules: strings.default(null),
  modules_to_save: z.array(z.string()).nullable().default(null),
  bias: z.string().default("none"),
  lora_bias: z.boolean().default(false),
  use_dora: z.boolean().default(false),
  use_qalora: z.boolean().default(false),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullable().default(true),
  ensure_weight_tying: z.boolean().default(false),
  // Present and not null where the adapter is of a kind that a product of two matrices cannot say.
  target_parameters: z.unknown().optional(),
  trainable_token_indices: z.unknown().optional(),
  layer_replication: z.unknown().optional(),
  alora_invocation_tokens: z.unknown().optional(),
  arrow_config: z.unknown().optional(),
  kasa_config: z.unknown().optional(),
  monteclora_config: z.unknown().optional(),
  use_bdlora: z.unknown().optional(),
});

export type AdapterConfig = Readonly<z.infer<typeof adapterConfig>>;

/** Parses `adapter_config.json`. A field of the wrong kind is a `checkpoint_malformed` that names it. */
export function parseAdapterConfig(bytes: Uint8Array, file: string): AdapterConfig {
  const parsed = adapterConfig.safeParse(parseConfig(bytes, file));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? "" : `${quote(issue.path.join("."))}: `;
  throw new AmalgamError(
    "checkpoint_malformed",
    `Cannot read adapter config ${quote(file)}: ${where}${issue?.message ?? "it is not an object"}`,
    { details: { file } },
  );
}
