import { isComputable } from "../../shared/checkpoint/dtypes.js";
import type { Checkpoint, CheckpointTensor } from "../../shared/checkpoint/open.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote, quoteList } from "../../shared/quote.js";
import { findEmbedding, headName, isHead } from "./base-names.js";
import { findModules } from "./module-filter.js";
import { storesInByOut } from "./storage.js";

export interface ExtractionOptions {
  /** Decompose embeddings and the head too, instead of saving them whole. */
  readonly embedLora: boolean;
  /** Modules to save whole, by full name or its last part. */
  readonly saveModules: readonly string[];
  /** Only modules whose name one of them finds; empty for all. */
  readonly include: readonly RegExp[];
  readonly exclude: readonly RegExp[];
  /** Leave out what is no matrix, instead of saving it whole. */
  readonly skipUndecomposable: boolean;
}

/** A module whose difference becomes factors. */
export interface Decomposed {
  readonly module: string;
  readonly tensor: CheckpointTensor;
  readonly base: CheckpointTensor;
  readonly isEmbedding: boolean;
  /** Stored as in × out, so that what comes from the left is A's. */
  readonly transposed: boolean;
}

/** A tensor of the fine-tuned model that is copied into the adapter. */
export interface Saved {
  /** In the adapter. The head that is tied to an embedding has a name of its own, and the embedding's tensor. */
  readonly name: string;
  /** In the model. */
  readonly tensor: CheckpointTensor;
  /** It is the bias of a module that is decomposed. */
  readonly isUnderneath: boolean;
}

export interface Extraction {
  readonly decomposed: readonly Decomposed[];
  readonly saved: readonly Saved[];
  /** Full names of the modules that are saved whole. */
  readonly modulesToSave: readonly string[];
  /** The head is tied to the embedding, and both are saved. */
  readonly savesTiedHead: boolean;
  /** Weights are stored as in × out, except embeddings and the head. */
  readonly fanInFanOut: boolean;
  readonly warnings: readonly string[];
}

/** What models call their embeddings; a checkpoint does not say which matrices are looked up rather than multiplied by. */
const embeddingNames: ReadonlySet<string> = new Set([
  ...["embed_tokens", "wte", "wpe", "embed_in", "word_embeddings", "position_embeddings", "embed_positions"],
  ...["token_type_embeddings", "tok_embeddings"],
]);

/**
 * Decides, from headers alone, what an adapter that turns the base into the model consists of. As mergekit-extract-lora:
 * matrices are decomposed; embeddings and the head are saved whole unless `embedLora`; so is what is no matrix, unless
 * `skipUndecomposable`. Modules whose names the expressions leave out are left out.
 */
export function planExtraction(model: Checkpoint, base: Checkpoint, options: ExtractionOptions): Extraction {
  const fanInFanOut = storesInByOut(base.tensors) ?? false;
  const warnings: string[] = [];
  const embedLora = options.embedLora && sameVocabularies(model, base, warnings);
  const decomposed: Decomposed[] = [];
  const saved: Saved[] = [];
  const modulesToSave: string[] = [];
  const missing: string[] = [];
  const seen = new Set<string>();
  const weights = inNameOrder(model).filter(({ name }) => name.endsWith(".weight"));
  const modules = weights.map(moduleOf);
  const [included, excluded] = [findModules(modules, options.include), findModules(modules, options.exclude)];
  const savedByName = new Set(options.saveModules);
  for (const tensor of weights) {
    const module = moduleOf(tensor);
    const bias = model.tensors.get(`${module}.bias`);
    seen.add(tensor.name).add(`${module}.bias`);
    const leaf = module.slice(module.lastIndexOf(".") + 1);
    const isEmbedding = embeddingNames.has(leaf);
    const isExcluded = excluded.has(module);
    const isWanted = options.include.length === 0 || included.has(module);
    const isNamed = savedByName.has(module) || savedByName.has(leaf);
    const isMatrix = tensor.shape.length === 2 && isComputable(tensor.dtype);
    const isWhole = isNamed || (!embedLora && (isEmbedding || isHead(module)) && !isExcluded);
    if (!isWhole && (isExcluded || !isWanted)) continue;
    if (!isWhole && !isMatrix && options.skipUndecomposable) continue;
    if (isWhole || !isMatrix) {
      modulesToSave.push(module);
      saved.push({ name: tensor.name, tensor, isUnderneath: false });
    } else {
      const counterpart = base.tensors.get(tensor.name);
      if (counterpart === undefined) missing.push(tensor.name);
      else {
        assertSameShape(tensor, counterpart);
        const transposed = isEmbedding || (fanInFanOut && !isHead(module));
        decomposed.push({ module, tensor, base: counterpart, isEmbedding, transposed });
      }
    }
    if (bias !== undefined) saved.push({ name: bias.name, tensor: bias, isUnderneath: !isWhole && isMatrix });
  }
  const tied = tiedEmbedding(model);
  const savesTiedHead = tied !== undefined && saved.some(({ tensor }) => tensor === tied);
  if (tied !== undefined && savesTiedHead) {
    modulesToSave.push(headName);
    saved.push({ name: `${headName}.weight`, tensor: tied, isUnderneath: false });
  }
  if (missing.length > 0) {
    throw mismatch(`the base has no ${quoteList(missing)}`);
  }
  const other = [...model.tensors.keys()].filter((name) => !seen.has(name));
  if (other.length > 0) {
    warnings.push(`tensors that belong to no module are left out: ${quoteList(other)}`);
  }
  return { decomposed, saved, modulesToSave, savesTiedHead, fanInFanOut, warnings };
}

/**
 * The embedding that is the head as well. PEFT puts a saved module in the place of the base's, and would leave the head
 * as it was: the adapter must have both.
 */
function tiedEmbedding({ tensors, config }: Checkpoint): CheckpointTensor | undefined {
  const { architectures } = (config ?? {}) as { architectures?: unknown };
  const names = Array.isArray(architectures) ? architectures : [];
  const hasHead = names.some((name) => /CausalLM|LMHead|ConditionalGeneration/.test(String(name)));
  const isStored = [...tensors.keys()].some((name) => name.endsWith(".weight") && isHead(name.slice(0, -7)));
  return hasHead && !isStored ? findEmbedding(tensors) : undefined;
}

/** An update cannot change a matrix's shape. */
function sameVocabularies(model: Checkpoint, base: Checkpoint, warnings: string[]): boolean {
  const differing = [...model.tensors.values()].find(({ name, shape }) => {
    const leaf = /([^.]+)\.weight$/.exec(name)?.[1] ?? "";
    const other = base.tensors.get(name)?.shape;
    return (embeddingNames.has(leaf) || isHead(leaf)) && other !== undefined && other[0] !== shape[0];
  });
  if (differing === undefined) return true;
  const [own, other] = [differing.shape[0], base.tensors.get(differing.name)?.shape[0]];
  warnings.push(`embeddings are saved whole: ${quote(differing.name)} has ${own} rows, and ${other} in the base`);
  return false;
}

function assertSameShape(tensor: CheckpointTensor, base: CheckpointTensor): void {
  const [own, other] = [tensor.shape.join(", "), base.shape.join(", ")];
  if (own !== other) throw mismatch(`tensor ${quote(tensor.name)} is [${own}], and [${other}] in the base`);
  if (!isComputable(base.dtype)) throw mismatch(`tensor ${quote(tensor.name)} is ${base.dtype} in the base`);
}

function moduleOf({ name }: CheckpointTensor): string {
  return name.slice(0, -".weight".length);
}

function inNameOrder({ tensors }: Checkpoint): readonly CheckpointTensor[] {
  return [...tensors.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function mismatch(problem: string): AmalgamError {
  return new AmalgamError("checkpoint_mismatch", `Cannot extract an adapter: ${problem}`);
}
