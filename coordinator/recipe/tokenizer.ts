import { quote } from "../../shared/quote.js";
import type { Complaints } from "./complaints.js";
import { Fields } from "./fields.js";
import type { TokenizerSetting, TokenSetting, TokenSource } from "./recipe.js";
import { readModelReference } from "./reference.js";
import { describe } from "./wording.js";
import type { YamlMapping, YamlNode } from "./yaml/node.js";

/** Far more than hardware asks for; 64 and 128 are usual. */
const maxPadding = 65_536;

/** `tokenizer`, or `tokenizer_source`, which is short for a tokenizer with only a source. */
export function readTokenizer(fields: Fields, complaints: Complaints): TokenizerSetting | undefined {
  fields.checkOnlyOne(["tokenizer", "tokenizer_source"], false);
  const mapping = fields.mapping("tokenizer");
  if (mapping !== undefined) return readLongForm(mapping, complaints);
  const source = readVocabulary(fields, "tokenizer_source", complaints);
  return source && { at: source.at, source, tokens: new Map(), padToMultipleOf: undefined };
}

function readLongForm(mapping: YamlMapping, complaints: Complaints): TokenizerSetting | undefined {
  const fields = new Fields(mapping, complaints);
  fields.checkKeys(["source", "tokens", "pad_to_multiple_of"]);
  const union: TokenizerSetting["source"] = { value: "union", at: mapping.at };
  const source = fields.has("source") ? readVocabulary(fields, "source", complaints) : union;
  const padToMultipleOf = fields.wholeNumber("pad_to_multiple_of", 1, maxPadding);
  const tokens = new Map<string, TokenSetting>();
  for (const [token, { keyAt, value }] of fields.mapping("tokens")?.entries ?? []) {
    const setting = readToken(token, value, complaints);
    if (setting !== undefined) tokens.set(token, { at: keyAt, ...setting });
  }
  return source && { at: mapping.at, source, tokens, padToMultipleOf };
}

function readVocabulary(fields: Fields, key: string, complaints: Complaints): TokenizerSetting["source"] | undefined {
  const node = fields.entry(key)?.value;
  const word = node?.kind === "scalar" ? node.value : undefined;
  if (node !== undefined && (word === "union" || word === "base")) return { value: word, at: node.at };
  return readModelReference(fields, key, complaints);
}

function readToken(token: string, node: YamlNode, complaints: Complaints): Omit<TokenSetting, "at"> | undefined {
  if (node.kind !== "mapping") {
    const example = '"{ source: ./path }"';
    return complaints.add(node.at, `Token ${quote(token)} must be a mapping like ${example}, found ${describe(node)}`);
  }
  const fields = new Fields(node, complaints);
  fields.checkKeys(["source", "force"]);
  const force = fields.boolean("force") ?? false;
  if (!fields.has("source")) return { source: undefined, force };
  const source = readTokenSource(fields, complaints);
  return source && { source, force };
}

/** A model, or a mapping whose `kind` says what it is. */
function readTokenSource(fields: Fields, complaints: Complaints): TokenSource | undefined {
  const node = fields.entry("source")?.value;
  if (node?.kind === "mapping" && node.entries.has("kind")) return readKind(node, complaints);
  const model = readModelReference(fields, "source", complaints);
  return model && { kind: "model", model };
}

function readKind(mapping: YamlMapping, complaints: Complaints): TokenSource | undefined {
  const fields = new Fields(mapping, complaints);
  const kind = fields.has("kind") ? fields.choice("kind", ["model_token", "zero"]) : fields.missing("kind");
  if (kind === undefined) return undefined;
  if (kind === "zero") {
    fields.checkKeys(["kind"]);
    return { kind };
  }
  fields.checkKeys(["kind", "model", "token", "token_id"]);
  fields.checkOnlyOne(["token", "token_id"], true);
  const model = fields.has("model") ? readModelReference(fields, "model", complaints) : fields.missing("model");
  // A token may well be a space.
  const token = fields.string("token")?.value ?? fields.wholeNumber("token_id", 0);
  return model && token !== undefined ? { kind: "model_token", model, token } : undefined;
}
