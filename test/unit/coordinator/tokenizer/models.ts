import { readFileSync } from "node:fs";
import { Complaints } from "../../../../coordinator/recipe/complaints.js";
import type { Located, ModelReference, TokenizerSetting, TokenSetting } from "../../../../coordinator/recipe/recipe.js";
import { type OpenTokenizer, readTokenizer } from "../../../../coordinator/tokenizer/open.js";
import { planVocabulary } from "../../../../coordinator/tokenizer/plan.js";
import type { VocabularyModel, VocabularyPlan } from "../../../../coordinator/tokenizer/types.js";
import { repositoryPath } from "../../../support/repository.js";

/** A file of `fixtures/`, which `make_fixtures.py` wrote. */
export function fixture(name: string): Buffer {
  return readFileSync(repositoryPath(`test/unit/coordinator/tokenizer/fixtures/${name}`));
}

/** What the tokenizers library makes of texts, and how many rows the models of the tokenizers have. */
export const encodings = JSON.parse(fixture("encodings.json").toString()) as {
  readonly texts: readonly string[];
  readonly rows: Readonly<Record<string, number>>;
  readonly ids: Readonly<Record<string, readonly (readonly number[])[]>>;
};

/** A tokenizer of the fixtures, with further files beside it. */
export function tokenizer(name: string, others: Readonly<Record<string, object | string>> = {}): OpenTokenizer {
  const files = new Map<string, Uint8Array>([["tokenizer.json", fixture(`${name}.json`)]]);
  for (const [file, content] of Object.entries(others)) {
    files.set(file, Buffer.from(typeof content === "string" ? content : JSON.stringify(content)));
  }
  return readTokenizer(name, files, undefined);
}

/** Models of the fixtures in the order of the merge; the first is the base unless told otherwise. */
export function models(names: readonly string[], hasBase = true): readonly VocabularyModel[] {
  return names.map((name, model) => {
    return { name, model, tokenizer: tokenizer(name), rows: encodings.rows[name] ?? 0, isBase: hasBase && model === 0 };
  });
}

const at = { line: 3, column: 5 };

export function reference(text: string): Located<ModelReference> {
  return { at, value: { text, path: text } };
}

export function setting(
  source: string,
  tokens: Readonly<Record<string, Omit<TokenSetting, "at">>> = {},
  padToMultipleOf?: number,
): TokenizerSetting {
  const value = source === "union" || source === "base" ? source : reference(source).value;
  const located = Object.entries(tokens).map(
    ([token, entry]) => [token, { at: { line: 9, column: 7 }, ...entry }] as const,
  );
  return { at, source: { at: { line: 4, column: 11 }, value }, tokens: new Map(located), padToMultipleOf };
}

/** The plan, or all that was complained of. */
export function plan(wanted: TokenizerSetting, of: readonly VocabularyModel[]): VocabularyPlan {
  const complaints = new Complaints("recipe.yaml");
  const planned = planVocabulary(wanted, of, complaints);
  if (planned === undefined) throw complaints.error();
  return planned;
}

/** The tokens of a plan's `tokenizer.json`, by a reader of their own files. */
export function tokensOf({ files }: VocabularyPlan): ReadonlyMap<string, number> {
  return readTokenizer("output", files, undefined).vocabulary;
}
