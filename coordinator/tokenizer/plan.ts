import { join } from "node:path";
import { formatCount, quote, quoteList } from "../../shared/quote.js";
import type { Complaints } from "../recipe/complaints.js";
import type { TokenizerSetting } from "../recipe/recipe.js";
import { outputFiles } from "./output-files.js";
import { composeVocabulary, type OutputVocabulary, type ReadableModel } from "./output-vocabulary.js";
import { planRows, type RowModel } from "./rows.js";
import { isByteLevel } from "./tokenizer-file.js";
import type { VocabularyModel, VocabularyPlan } from "./types.js";

/** Vocabularies are padded to multiples of 8 to 512; a number beyond this is a slip that would cost gigabytes. */
const maxPadding = 1 << 20;

/**
 * Plans the output's vocabulary as mergekit's `tokenizer:` asks for it: the tokens, the files, and how every model's
 * embedding is put in the order of the output before the merge. Undefined when there were complaints.
 */
export function planVocabulary(
  setting: TokenizerSetting,
  models: readonly VocabularyModel[],
  complaints: Complaints,
): VocabularyPlan | undefined {
  const first = models.find(({ isBase }) => isBase) ?? models.find(({ model }) => model !== undefined);
  const wanted = first && findDonor(setting, first, models, complaints);
  const readable = readableModels(setting, models, [first, wanted], complaints);
  const base = readable.find((model) => model === first);
  const donor = readable.find((model) => model === wanted);
  const padding = multipleOf(setting, complaints);
  if (base === undefined || donor === undefined || padding === undefined) return undefined;

  const inMerge = readable.filter((model) => model !== donor && model.model !== undefined);
  const output = composeVocabulary(donor, setting.source.value === "union" ? inMerge : [], setting.tokens.keys());
  complainOfKinds(setting, output, complaints);
  if (output.size === 0) complaints.add(setting.source.at, `No token of ${quote(donor.name)} has a row`);

  const warnings = missingTokenizers(models, base);
  const rows = Math.ceil(output.size / padding) * padding;
  const request = {
    ...output,
    padding: rows - output.size,
    overrides: setting.tokens,
    models: rowModels(models, base),
  };
  const rowsOf = planRows(request, complaints, warnings);
  if (complaints.any) return undefined;
  warnings.push(...warningsOf(output, rows));
  const { files, outdated } = outputFiles(output, warnings);
  return { tokens: output.size, rows, rowsOf, files, donor: donor.model, outdated, warnings };
}

/** What the number of rows is a multiple of; as in mergekit, 0 asks for nothing. */
function multipleOf({ at, padToMultipleOf }: TokenizerSetting, complaints: Complaints): number | undefined {
  const multiple = padToMultipleOf ?? 0;
  if (Number.isInteger(multiple) && multiple >= 0 && multiple <= maxPadding) return Math.max(multiple, 1);
  const limit = formatCount(maxPadding);
  return complaints.add(at, `Cannot pad to a multiple of ${multiple}: it takes a whole number from 0 to ${limit}`);
}

/** The model whose tokenizer is the output's but for what is added to it. */
function findDonor(
  { source }: TokenizerSetting,
  base: VocabularyModel,
  models: readonly VocabularyModel[],
  complaints: Complaints,
): VocabularyModel | undefined {
  if (source.value === "union" || source.value === "base") return base;
  const { text } = source.value;
  const found = models.find(({ name }) => name === text);
  if (found !== undefined) return found;
  const known = quoteList(models.map(({ name }) => name));
  return complaints.add(source.at, `No tokenizer of ${quote(text)} was read; the models of the merge are ${known}`);
}

/** Models whose tokenizer can be merged; complains of those that have one which cannot, and of `needed` ones without. */
function readableModels(
  { at }: TokenizerSetting,
  models: readonly VocabularyModel[],
  needed: readonly (VocabularyModel | undefined)[],
  complaints: Complaints,
): readonly ReadableModel[] {
  return models.filter((model): model is ReadableModel => {
    const { name, tokenizer } = model;
    if (tokenizer?.tokenizer !== undefined) return true;
    const older = tokenizer?.olderForm;
    if (older !== undefined || needed.includes(model)) {
      const only = older === undefined ? "" : `, only ${quote(older)}`;
      complaints.add(
        at,
        `Model ${quote(name)} has no "tokenizer.json"${only}: write one with transformers, ` +
          "AutoTokenizer.from_pretrained(model).save_pretrained(model)",
      );
    }
    return false;
  });
}

function missingTokenizers(models: readonly VocabularyModel[], base: ReadableModel): string[] {
  return models
    .filter(({ tokenizer }) => tokenizer?.tokenizer === undefined)
    .map(({ name }) => `Model ${quote(name)} has no tokenizer: it is taken to have that of ${quote(base.name)}`);
}

function rowModels(models: readonly VocabularyModel[], base: ReadableModel): readonly RowModel[] {
  return models.flatMap((model) => {
    const { vocabulary } = model.tokenizer?.tokenizer === undefined ? base.tokenizer : model.tokenizer;
    return model.model === undefined ? [] : [{ ...model, model: model.model, vocabulary }];
  });
}

/** Tokens that are parts of text can only join a model that cuts text in the same way. */
function complainOfKinds({ source }: TokenizerSetting, output: OutputVocabulary, complaints: Complaints): void {
  const { kind } = output.donor.tokenizer.tokenizer;
  for (const model of new Set(output.appended.values())) {
    const other = model.tokenizer.tokenizer.kind;
    if (other === kind) continue;
    const tokens = appendedBy(output, model);
    complaints.add(
      source.at,
      `No union of ${quote(output.donor.name)}, whose tokenizer is ${kind}, and ${quote(model.name)}, whose is ${other} ` +
        `and has ${formatCount(tokens.length)} tokens more (${quoteList(tokens, 3)}); take source: base`,
    );
  }
}

function warningsOf(output: OutputVocabulary, rows: number): readonly string[] {
  const { donor, appended, newlyAdded, removed } = output;
  const warnings: string[] = [];
  if (donor.tokenizer.tokenizer.renumbered > 0) {
    warnings.push(
      `${quote(join(donor.name, "tokenizer.json"))} numbers ${formatCount(donor.tokenizer.tokenizer.renumbered)} added ` +
        "tokens otherwise than the tokenizers library does on loading: the library's numbers count",
    );
  }
  if (rows !== donor.rows) {
    const change = rows < donor.rows ? "shrinks" : "grows";
    const tokens = formatCount(output.size);
    warnings.push(
      `The vocabulary ${change} from the ${formatCount(donor.rows)} rows of ${quote(donor.name)} to ${formatCount(rows)}, ` +
        `for ${tokens} tokens: ${formatCount(appended.size)} are appended, ${formatCount(newlyAdded.length)} added, ` +
        `${formatCount(removed.size)} left out${rows < donor.rows ? "; pad_to_multiple_of makes it larger" : ""}`,
    );
  }
  for (const model of new Set(appended.values())) {
    if (isByteLevel(model.tokenizer.tokenizer) === isByteLevel(donor.tokenizer.tokenizer)) continue;
    warnings.push(
      `${quote(donor.name)} and ${quote(model.name)} write their tokens in different alphabets, bytes and characters: ` +
        `text will not be cut into the ${formatCount(appendedBy(output, model).length)} tokens that the latter appends`,
    );
  }
  return warnings;
}

function appendedBy({ appended }: OutputVocabulary, model: ReadableModel): readonly string[] {
  return [...appended].filter(([, owner]) => owner === model).map(([token]) => token);
}
