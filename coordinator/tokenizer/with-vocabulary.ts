import { join } from "node:path";
import { isObject, type JsonObject } from "./json.js";
import type { OutputVocabulary, ReadableModel } from "./output-vocabulary.js";
import { type Merge, merged, mergesOf, numberAdded } from "./tokenizer-file.js";

/** The donor's `tokenizer.json` with the output's vocabulary. */
export function withVocabulary(output: OutputVocabulary): JsonObject {
  const { donor, added } = output;
  const { json, kind } = donor.tokenizer.tokenizer;
  const text = textTokens(output);
  // Loaders number added tokens from the end of the model's vocabulary on. Where that is not what we want, the model's
  // vocabulary has them too, as Llama's has, and then that number counts. They are cut out of a text before the model
  // sees it, so that nothing else changes.
  const loaded = numberAdded(text, text.size, added);
  const asWanted = loaded.every(({ id }, i) => id === added[i]?.id);
  const listed = asWanted ? text : new Map([...text, ...added.map(({ content, id }) => [content, id] as const)]);
  const model = isObject(json["model"]) ? json["model"] : {};
  const vocab = kind === "Unigram" ? scored(output, listed) : numbered(listed);
  const changed = kind === "BPE" ? { ...model, vocab, merges: outputMerges(output, model, text) } : { ...model, vocab };
  return { ...json, added_tokens: added, model: changed };
}

/** What the output's model makes of text: the donor's own vocabulary and what was appended to it. */
function textTokens({ donor, tokens, appended }: OutputVocabulary): ReadonlyMap<string, number> {
  const own = donor.tokenizer.tokenizer.vocabulary;
  return new Map([...tokens].filter(([token, id]) => appended.has(token) || own.get(token) === id));
}

function numbered(tokens: ReadonlyMap<string, number>): JsonObject {
  return Object.fromEntries([...tokens].sort(([, a], [, b]) => a - b));
}

/** Unigram: a token's number is its place in the list. Appended tokens keep the score that their own model gave them. */
function scored({ donor, appended }: OutputVocabulary, tokens: ReadonlyMap<string, number>): readonly unknown[] {
  const list = entriesOf(donor).slice(0, donor.rows);
  const lowest = list.reduce((least, [, score]) => Math.min(least, score), 0);
  const scores = new Map<ReadableModel, ReadonlyMap<string, number>>();
  for (const [token, id] of [...tokens].sort(([, a], [, b]) => a - b)) {
    if (id < list.length) continue;
    const model = appended.get(token);
    if (model !== undefined && !scores.has(model)) scores.set(model, new Map(entriesOf(model)));
    list.push([token, (model && scores.get(model)?.get(token)) ?? lowest]);
  }
  return list;
}

function entriesOf({ tokenizer }: ReadableModel): [string, number][] {
  const { model } = tokenizer.tokenizer.json;
  return isObject(model) && Array.isArray(model["vocab"]) ? [...(model["vocab"] as [string, number][])] : [];
}

/**
 * The donor's merges, then those of the models whose tokens were appended, in their order: text that the donor knows is
 * cut as before, and only then joined further. Of the others' merges only those count that take or make an appended token.
 */
function outputMerges(
  output: OutputVocabulary,
  model: JsonObject,
  text: ReadonlyMap<string, number>,
): readonly unknown[] {
  const { donor, appended } = output;
  const result = (merge: Merge): string => merged(model, merge);
  const own = readMerges(donor).filter((merge) => [...merge, result(merge)].every((token) => text.has(token)));
  const more: Merge[] = [];
  const seen = new Set(own.map(keyOf));
  for (const other of new Set(appended.values())) {
    for (const merge of readMerges(other)) {
      const involved = [...merge, result(merge)];
      const isNew = involved.some((token) => appended.has(token));
      if (!isNew || seen.has(keyOf(merge)) || !involved.every((token) => text.has(token))) continue;
      seen.add(keyOf(merge));
      more.push(merge);
    }
  }
  const all = [...own, ...more];
  const original = model["merges"];
  const asStrings =
    Array.isArray(original) && typeof original[0] === "string" && !all.flat().some((t) => t.includes(" "));
  return asStrings ? all.map(([left, right]) => `${left} ${right}`) : all;
}

function readMerges({ tokenizer }: ReadableModel): readonly Merge[] {
  return mergesOf(tokenizer.tokenizer, join(tokenizer.directory, "tokenizer.json"));
}

function keyOf([left, right]: Merge): string {
  return JSON.stringify([left, right]);
}
