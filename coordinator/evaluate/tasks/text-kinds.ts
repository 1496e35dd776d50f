import { allOrNone } from "../../recipe/complaints.js";
import { readDataSource } from "./data-fields.js";
import type {
  Extract,
  GenerationSettings,
  MultipleChoiceSettings,
  PerplexitySettings,
  RetrievalSettings,
  SimilaritySettings,
  TextsWithIds,
} from "./settings.js";
import { maxTokensAllowed, readData, readEmbedding, readTokens } from "./shared-fields.js";
import type { TaskFields } from "./task-fields.js";
import type { Template } from "./template.js";

export function readMultipleChoice(fields: TaskFields): MultipleChoiceSettings | undefined {
  const data = readData(fields);
  const prompt = fields.required("prompt", (key) => fields.prose(key));
  const choices = fields.required("choices", () => readChoices(fields));
  const answer = fields.required("answer", (key) => fields.column(key));
  const delimiter = fields.string("delimiter")?.value ?? " ";
  const chat = fields.boolean("chat") ?? false;
  const tokens = readTokens(fields, "left");
  return data && prompt && choices && answer && { ...data, ...tokens, prompt, choices, answer, delimiter, chat };
}

function readChoices(fields: TaskFields): Template | readonly Template[] | undefined {
  if (fields.entry("choices")?.value.kind !== "list") return fields.column("choices");
  const texts = fields.texts("choices");
  if (texts?.length === 1)
    return fields.complain(fields.at, 'Key "choices" lists one choice, there must be two at least');
  return texts && allOrNone(texts.map((text) => fields.template(text)))?.map(asText);
}

/** In a list of choices, a bare word is the choice itself. */
function asText(template: Template): Template {
  return template.kind === "jinja" ? template : { ...template, kind: "jinja" };
}

export function readPerplexity(fields: TaskFields): PerplexitySettings | undefined {
  const data = readData(fields);
  const text = fields.required("text", (key) => fields.prose(key));
  const window = fields.wholeNumber("window", 2, maxTokensAllowed);
  const stride = fields.wholeNumber("stride", 1, maxTokensAllowed);
  const strideAt = fields.entry("stride")?.value.at;
  if (window !== undefined && stride !== undefined && strideAt !== undefined && stride > window) {
    fields.complain(strideAt, `Stride ${stride} is longer than window ${window}, tokens between would be left out`);
  }
  return data && text && { ...data, text, window, stride };
}

export function readGeneration(fields: TaskFields): GenerationSettings | undefined {
  const data = readData(fields);
  const prompt = fields.required("prompt", (key) => fields.prose(key));
  const answer = fields.required("answer", (key) => fields.column(key));
  const rest = {
    maxNewTokens: fields.wholeNumber("max_new_tokens", 1, maxTokensAllowed) ?? 64,
    until: fields.texts("until")?.map(({ value }) => value) ?? [],
    extract: readExtract(fields),
    ignoreCase: fields.boolean("ignore_case") ?? false,
    ignorePunctuation: fields.boolean("ignore_punctuation") ?? false,
    chat: fields.boolean("chat") ?? false,
  };
  return data && prompt && answer && { ...data, ...readTokens(fields, "left"), prompt, answer, ...rest };
}

/** `extract: 'pattern'` or `extract: {pattern: …, take: last}`. */
function readExtract(fields: TaskFields): Extract | undefined {
  const isMapping = fields.entry("extract")?.value.kind === "mapping";
  const nested = isMapping ? fields.nested("extract") : undefined;
  nested?.checkKeys(["pattern", "take"]);
  const pattern = nested ? nested.required("pattern", (key) => nested.text(key)) : fields.text("extract");
  const take = nested?.choice("take", ["first", "last"]) ?? "first";
  if (pattern === undefined) return undefined;
  try {
    new RegExp(pattern.value, "gm");
    return { pattern: pattern.value, take };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return fields.complain(pattern.at, `Not a valid pattern: ${reason}`);
  }
}

export function readSimilarity(fields: TaskFields): SimilaritySettings | undefined {
  const data = readData(fields);
  const first = fields.required("first", (key) => fields.prose(key));
  const second = fields.required("second", (key) => fields.prose(key));
  const score = fields.required("score", (key) => fields.column(key));
  return data && first && second && score && { ...data, ...readEmbedding(fields), first, second, score };
}

export function readRetrieval(fields: TaskFields): RetrievalSettings | undefined {
  const corpus = fields.required("corpus", (key) => readTexts(fields, key, "document_prefix"));
  const queries = fields.required("queries", (key) => readTexts(fields, key, "query_prefix"));
  const relevance = fields.required("relevance", () => readRelevance(fields));
  const at = fields.wholeNumber("at", 1, 10_000) ?? 10;
  return corpus && queries && relevance && { ...readEmbedding(fields), corpus, queries, relevance, at };
}

function readTexts(fields: TaskFields, key: string, prefixKey: string): TextsWithIds | undefined {
  const nested = fields.nested(key);
  if (nested === undefined) return undefined;
  nested.checkKeys(["data", "id", "text"]);
  const data = readDataSource(nested);
  const id = nested.required("id", (each) => nested.column(each));
  const text = nested.required("text", (each) => nested.prose(each));
  return data && id && text && { data, id, text, prefix: fields.string(prefixKey)?.value ?? "" };
}

function readRelevance(fields: TaskFields): RetrievalSettings["relevance"] | undefined {
  const nested = fields.nested("relevance");
  if (nested === undefined) return undefined;
  nested.checkKeys(["data", "query", "document", "score"]);
  const data = readDataSource(nested);
  const query = nested.required("query", (key) => nested.column(key));
  const document = nested.required("document", (key) => nested.column(key));
  return data && query && document && { data, query, document, score: nested.column("score") };
}
