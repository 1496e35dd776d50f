import { stat } from "node:fs/promises";
import { InCommon } from "../../shared/checkpoint/in-common.js";
import { type Checkpoint, openCheckpoint } from "../../shared/checkpoint/open.js";
import { quote } from "../../shared/quote.js";
import { type Adapter, openAdapter } from "../lora/adapter.js";
import { readSourceCard, type SourceCard } from "../provenance/source-card.js";
import { Complaints } from "../recipe/complaints.js";
import type { Located, ModelReference, Position, RecipeFile } from "../recipe/recipe.js";
import { type OpenTokenizer, openTokenizer } from "../tokenizer/open.js";
import { findFolder } from "./find-folder.js";
import { referencesOf, slicesOf } from "./references.js";

/** A model of the recipe with its headers read. No tensor data has been touched. */
export interface OpenModel {
  /** As the recipe names it: see `ModelReference.text`. */
  readonly name: string;
  /** Where the recipe first names it. */
  readonly at: Position;
  readonly checkpoint: Checkpoint;
  /** When each of the checkpoint's files was last modified, in milliseconds since 1970. */
  readonly modifiedMs: readonly number[];
  readonly adapter?: { readonly adapter: Adapter; readonly modifiedMs: readonly number[] };
  /** Read only where the recipe says something of tokenizers. */
  readonly tokenizer?: OpenTokenizer;
  /** What the model says of itself, and its adapter if it has one. Default: nothing was read. */
  readonly cards?: readonly SourceCard[];
}

/**
 * Opens every model that the recipe's documents name, each once, in the order in which they are first named. Paths are
 * relative to the recipe's folder, then to the current one. All models that cannot be found are complained of at once.
 */
export async function openModels({ file, stages }: RecipeFile): Promise<readonly OpenModel[]> {
  const complaints = new Complaints(file);
  const references = new Map<string, Located<ModelReference>>();
  for (const recipe of stages) {
    complainOfRepeats(slicesOf(recipe), complaints);
    for (const reference of referencesOf(recipe)) {
      if (reference.value.stage !== undefined) continue;
      const { text } = reference.value;
      if (!references.has(text)) references.set(text, reference);
    }
  }
  // A document's model may be an earlier one's output, whose tokenizer is that of a model it does not name itself.
  const isWanted = stages.some(({ tokenizer, chatTemplate }) => tokenizer !== undefined || chatTemplate !== undefined);
  const withTokenizer = new Set(isWanted ? references.keys() : []);
  return openReferences(file, references.values(), withTokenizer, complaints);
}

/**
 * Opens the models that `file` refers to. `withTokenizer` are the texts of those whose tokenizer is needed. Throws the
 * complaints that there are already, together with one for each model that cannot be found.
 */
export async function openReferences(
  file: string,
  references: Iterable<Located<ModelReference>>,
  withTokenizer: ReadonlySet<string>,
  complaints = new Complaints(file),
): Promise<readonly OpenModel[]> {
  const found = await Promise.all([...references].map((reference) => find(reference, file, complaints)));
  complaints.throwIfAny();
  const folders = found.filter((folder) => folder !== undefined);
  const inCommon = new InCommon();
  const opened: OpenModel[] = [];
  // One after the other, so that what is like one before it is not read again, and only one index is held.
  for (const folder of folders) {
    opened.push(await open(folder, inCommon, withTokenizer.has(folder.reference.value.text)));
  }
  return opened;
}

function complainOfRepeats(slices: ReturnType<typeof slicesOf>, complaints: Complaints): void {
  for (const { form, definition } of slices) {
    const seen = new Set<string>();
    for (const { model } of definition.sources) {
      const { text } = model.value;
      if (form === "models" && seen.has(text)) {
        complaints.add(model.at, `Model ${quote(text)} is listed twice: give it once, with the sum of its weights`);
      }
      seen.add(text);
    }
  }
}

interface FoundModel {
  readonly reference: Located<ModelReference>;
  readonly model: string;
  readonly lora: string | undefined;
}

async function find(
  reference: Located<ModelReference>,
  file: string,
  complaints: Complaints,
): Promise<FoundModel | undefined> {
  const { path, lora } = reference.value;
  const model = await findFolder("model", path, reference.at, file, complaints);
  const adapter = lora && (await findFolder("LoRA", lora.path, reference.at, file, complaints));
  return model === undefined || (lora !== undefined && adapter === undefined)
    ? undefined
    : { reference, model, lora: adapter };
}

async function open(
  { reference, model, lora }: FoundModel,
  inCommon: InCommon,
  withTokenizer: boolean,
): Promise<OpenModel> {
  const checkpoint = await openCheckpoint(model, { inCommon });
  const adapter = lora === undefined ? undefined : await openAdapter(lora);
  const tokenizer = withTokenizer ? await openTokenizer(checkpoint.directory) : undefined;
  return {
    name: reference.value.text,
    at: reference.at,
    checkpoint,
    modifiedMs: await modificationTimes(checkpoint),
    ...(adapter && { adapter: { adapter, modifiedMs: await modificationTimes(adapter.checkpoint) } }),
    ...(tokenizer && { tokenizer }),
    cards: await readCards(reference.value, checkpoint, adapter),
  };
}

function readCards(
  { text, lora }: ModelReference,
  checkpoint: Checkpoint,
  adapter: Adapter | undefined,
): Promise<readonly SourceCard[]> {
  if (lora === undefined || adapter === undefined) return Promise.all([readSourceCard(text, checkpoint.directory)]);
  // As they are written: where they were found is nobody's business. A name that holds a "+" stands in quotes.
  const [model = text, other = text] = text.match(/"(?:[^"\\]|\\.)*"|[^+"]+/g) ?? [];
  return Promise.all([readSourceCard(model, checkpoint.directory), readSourceCard(other, adapter.directory)]);
}

function modificationTimes({ files }: Checkpoint): Promise<readonly number[]> {
  return Promise.all(files.map(async ({ path }) => (await stat(path)).mtimeMs));
}
