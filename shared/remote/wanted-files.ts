import { companionNames, licenseNames } from "../checkpoint/companion-names.js";
import { indexFileName } from "../checkpoint/index-json.js";

/** Files beside weights that a plan, an output or its card has use for. */
export const smallNames = [
  "config.json",
  "adapter_config.json",
  "README.md",
  ...companionNames,
  ...licenseNames,
] as const;

/** Weights that are found without a list of a folder's files. */
export const knownWeights = [indexFileName, "model.safetensors", "adapter_model.safetensors"] as const;

const small: ReadonlySet<string> = new Set(smallNames);

/** Which of a folder's files, listed by name, are wanted before an index is read: all but its shards. */
export interface WantedFiles {
  /** Companions and weights, but no shards. */
  readonly names: readonly string[];
  /** The index to read for the names of shards; undefined: there is none. */
  readonly index: string | undefined;
}

/**
 * Chooses as a folder's weights are chosen (`checkpoint/weights.ts`): the usual index, else `model.safetensors`, else the
 * only other index, else every safetensors file, for the planner to judge. An adapter's weights come along.
 */
export function chooseFiles(listed: readonly string[]): WantedFiles {
  const beside = listed.filter((name) => small.has(name) || /^(?:added_tokens.*|[^.].*\.jinja)$/.test(name));
  const adapters = listed.filter((name) => name === "adapter_model.safetensors");
  const whole = listed.filter((name) => name === "model.safetensors");
  if (listed.includes(indexFileName)) return { names: [...beside, ...adapters, indexFileName], index: indexFileName };
  if (whole.length > 0) return { names: [...beside, ...adapters, ...whole], index: undefined };
  const indexes = listed.filter((name) => name.endsWith(".safetensors.index.json"));
  const [index] = indexes;
  if (index !== undefined) {
    return { names: [...beside, ...adapters, ...indexes], index: indexes.length === 1 ? index : undefined };
  }
  return { names: [...beside, ...listed.filter((name) => name.endsWith(".safetensors"))], index: undefined };
}
