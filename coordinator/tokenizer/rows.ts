import { formatCount, quote, quoteList } from "../../shared/quote.js";
import type { Complaints } from "../recipe/complaints.js";
import type { TokenSetting, TokenSource } from "../recipe/recipe.js";
import { type RowSource, SegmentBuilder, type VocabularySegment } from "./segments.js";
import type { VocabularyModel } from "./types.js";

/** A model of the merge, and the vocabulary by which its rows are read: its own, or the base's when it has none. */
export interface RowModel extends VocabularyModel {
  readonly model: number;
  readonly vocabulary: ReadonlyMap<string, number>;
}

export interface RowRequest {
  /** The output's tokens by number; numbers that no token has are allowed. */
  readonly tokens: ReadonlyMap<string, number>;
  /** The highest number and one. */
  readonly size: number;
  /** Rows after those of the tokens. */
  readonly padding: number;
  readonly models: readonly RowModel[];
  /** What the recipe says of single tokens. */
  readonly overrides: ReadonlyMap<string, TokenSetting>;
}

/**
 * For every model, how its rows become the output's. A token that a model lacks gets, as in mergekit 0.1.5: what the
 * recipe says; else the row of the only model that has it; else the base's; else the mean over those that have it.
 * Rows of padding are the mean of all rows before (Hewitt, "Initializing New Word Embeddings", 2021).
 */
export function planRows(
  request: RowRequest,
  complaints: Complaints,
  warnings: string[],
): ReadonlyMap<number, readonly VocabularySegment[]> {
  const { tokens, size, models, overrides } = request;
  const numbers = models.map((model) => ownNumbers(model, tokens, size, warnings));
  const base = models.findIndex(({ isBase }) => isBase);
  const names = namesByNumber(tokens, size);
  const builders = models.map(() => new SegmentBuilder());
  const nowhere: string[] = [];
  let gaps = 0;
  for (let id = 0; id < size; id++) {
    const name = names[id];
    const override = name === undefined ? undefined : overrides.get(name);
    const own = models.map(({ model }, i): RowSource => {
      const row = numbers[i]?.[id] ?? -1;
      return row < 0 ? [] : [{ model, row }];
    });
    const forced = override?.force === true;
    const needed = name !== undefined && (forced || own.some((source) => source.length === 0));
    const standIn = needed ? standInFor(name, override, own, own[base] ?? [], request, complaints) : [];
    if (name === undefined) gaps += 1;
    else if (needed && override === undefined && standIn.length === 0) nowhere.push(name);
    own.forEach((source, i) => {
      builders[i]?.add(source.length > 0 && !forced ? source : standIn);
    });
  }
  if (gaps > 0) {
    warnings.push(`No token has ${formatCount(gaps)} of the numbers below ${formatCount(size)}: their rows are zero`);
  }
  if (nowhere.length > 0) warnings.push(`No model has rows for ${count(nowhere)} of the output: their rows are zero`);
  return new Map(models.map(({ model }, i) => [model, builders[i]?.finish(request.padding) ?? []]));
}

/** The row for models that have none of their own for a token, or for all when the recipe forces it. */
function standInFor(
  token: string,
  override: TokenSetting | undefined,
  own: readonly RowSource[],
  ofBase: RowSource,
  { models }: RowRequest,
  complaints: Complaints,
): RowSource {
  const present = own.flat();
  if (override?.source !== undefined) return overridden(token, override, override.source, models, own, complaints);
  if (override !== undefined && (override.force || present.length === 0)) {
    const why = override.force ? "force needs to know whose row" : "no model has it";
    complaints.add(override.at, `Token ${quote(token)} needs a source: ${why}`);
  }
  return present.length > 1 && ofBase.length > 0 ? ofBase : present;
}

/** By number in the output, the token's number in the model, or −1 where it has no row for it. */
function ownNumbers(
  model: RowModel,
  tokens: ReadonlyMap<string, number>,
  size: number,
  warnings: string[],
): Int32Array {
  const numbers = new Int32Array(size).fill(-1);
  for (const [token, id] of tokens) {
    const own = model.vocabulary.get(token);
    if (own !== undefined && own < model.rows && (numbers[id] ?? 0) < 0) numbers[id] = own;
  }
  const beyond = [...model.vocabulary].filter(([, own]) => own >= model.rows).map(([token]) => token);
  if (beyond.length > 0) {
    warnings.push(
      `Model ${quote(model.name)} has no rows for ${count(beyond)} of its tokenizer, since its embedding has ` +
        `${formatCount(model.rows)} rows: it is taken not to have them`,
    );
  }
  return numbers;
}

function namesByNumber(tokens: ReadonlyMap<string, number>, size: number): readonly (string | undefined)[] {
  const names = new Array<string | undefined>(size).fill(undefined);
  for (const [token, id] of tokens) names[id] ??= token;
  return names;
}

/** The row that the recipe names for a token. */
function overridden(
  token: string,
  { at }: TokenSetting,
  source: TokenSource,
  models: readonly RowModel[],
  own: readonly RowSource[],
  complaints: Complaints,
): RowSource {
  if (source.kind === "zero") return [];
  const { value: reference, at: modelAt } = source.model;
  const place = models.findIndex(({ name }) => name === reference.text);
  const model = models[place];
  if (model === undefined) {
    const known = quoteList(models.map(({ name }) => name));
    complaints.add(modelAt, `Model ${quote(reference.text)} has no part in the merge; its models are ${known}`);
    return [];
  }
  if (source.kind === "model") {
    const row = own[place] ?? [];
    if (row.length === 0) {
      complaints.add(
        modelAt,
        `Model ${quote(model.name)} has no token ${quote(token)}, say which one to take with kind: model_token`,
      );
    }
    return row;
  }
  const wanted = source.token;
  const row = typeof wanted === "number" ? wanted : model.vocabulary.get(wanted);
  if (row === undefined) complaints.add(at, `Model ${quote(model.name)} has no token ${quote(String(wanted))}`);
  else if (!Number.isInteger(row) || row < 0 || row >= model.rows) {
    const what = typeof wanted === "number" ? `row ${wanted}` : `a row for token ${quote(wanted)}, number ${row}`;
    complaints.add(at, `Model ${quote(model.name)} has no ${what}: its embedding has ${formatCount(model.rows)} rows`);
  } else return [{ model: model.model, row }];
  return [];
}

function count(tokens: readonly string[]): string {
  const noun = tokens.length === 1 ? "token" : "tokens";
  return `${formatCount(tokens.length)} ${noun} (${quoteList(tokens, 3)})`;
}
