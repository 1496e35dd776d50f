import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type EvaluationEvent, type EvaluationJob, evaluate } from "../../../coordinator/evaluate/evaluation.js";
import type { EvaluationResult } from "../../../coordinator/evaluate/types.js";
import { writeCheckpoint } from "../../support/checkpoints.js";
import { madeWeight, madeWeights } from "../../support/made-weights.js";
import { agentEntry } from "../../support/merges.js";
import { jsonLines, tokenizerFolder } from "../../support/prepare.js";

// Models of a few thousand weights that are a function of their names, with tokenizers of their own, and tasks for them.

type Shapes = Readonly<Record<string, readonly number[]>>;

const width = 32;
const classes = ["bad", "fair", "good"];

function bertShapes(prefix: string, layers: number): Shapes {
  const linear = (name: string, rows: number, columns: number): Shapes => {
    return { [`${prefix}${name}.weight`]: [rows, columns], [`${prefix}${name}.bias`]: [rows] };
  };
  const norm = (name: string): Shapes => ({ [`${prefix}${name}.weight`]: [width], [`${prefix}${name}.bias`]: [width] });
  const layer = (at: string): Shapes => ({
    ...linear(`${at}.attention.self.query`, width, width),
    ...linear(`${at}.attention.self.key`, width, width),
    ...linear(`${at}.attention.self.value`, width, width),
    ...linear(`${at}.attention.output.dense`, width, width),
    ...norm(`${at}.attention.output.LayerNorm`),
    ...linear(`${at}.intermediate.dense`, 2 * width, width),
    ...linear(`${at}.output.dense`, width, 2 * width),
    ...norm(`${at}.output.LayerNorm`),
  });
  return {
    [`${prefix}embeddings.word_embeddings.weight`]: [150, width],
    [`${prefix}embeddings.position_embeddings.weight`]: [32, width],
    [`${prefix}embeddings.token_type_embeddings.weight`]: [2, width],
    ...norm("embeddings.LayerNorm"),
    ...Object.assign({}, ...Array.from({ length: layers }, (_, i) => layer(`encoder.layer.${i}`))),
    ...linear("pooler.dense", width, width),
  };
}

const bert = {
  model_type: "bert",
  vocab_size: 150,
  hidden_size: width,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 2 * width,
  max_position_embeddings: 32,
  type_vocab_size: 2,
  hidden_act: "gelu",
};

/** `vocab_size` of the tokenizer; no token ends a text, so that every continuation has the length that was asked for. */
const llama = {
  model_type: "llama",
  vocab_size: 330,
  hidden_size: width,
  intermediate_size: 2 * width,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
};

function llamaShapes(): Shapes {
  const layer = (at: string): Shapes => ({
    [`${at}.self_attn.q_proj.weight`]: [width, width],
    [`${at}.self_attn.k_proj.weight`]: [width / 2, width],
    [`${at}.self_attn.v_proj.weight`]: [width / 2, width],
    [`${at}.self_attn.o_proj.weight`]: [width, width],
    [`${at}.mlp.gate_proj.weight`]: [2 * width, width],
    [`${at}.mlp.up_proj.weight`]: [2 * width, width],
    [`${at}.mlp.down_proj.weight`]: [width, 2 * width],
    [`${at}.input_layernorm.weight`]: [width],
    [`${at}.post_attention_layernorm.weight`]: [width],
  });
  return {
    "model.embed_tokens.weight": [llama.vocab_size, width],
    ...layer("model.layers.0"),
    ...layer("model.layers.1"),
    "model.norm.weight": [width],
  };
}

const kinds = {
  classifier: {
    config: { ...bert, architectures: ["BertForSequenceClassification"], id2label: { ...classes } },
    shapes: { ...bertShapes("bert.", 2), "classifier.weight": [3, width], "classifier.bias": [3] },
    tokenizer: "word-piece",
  },
  encoder: { config: { ...bert, architectures: ["BertModel"] }, shapes: bertShapes("", 2), tokenizer: "word-piece" },
  decoder: {
    config: { ...llama, architectures: ["LlamaForCausalLM"] },
    shapes: llamaShapes(),
    tokenizer: "byte-level",
  },
} as const;

export type ModelKind = keyof typeof kinds;

export interface ModelChanges {
  readonly shapes?: (shapes: Record<string, readonly number[]>) => void;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly hasTokenizer?: boolean;
  /** One number of this tensor is NaN. */
  readonly nan?: string;
  /** Other weights than those of a model without, half as far from them as they are from zero. */
  readonly salt?: string;
}

/** Writes the checkpoint `folder/name`, in two shards, and returns its path. */
export async function writeModel(
  folder: string,
  name: string,
  kind: ModelKind,
  { shapes: change, config, hasTokenizer = true, nan, salt }: ModelChanges = {},
): Promise<string> {
  const made = kinds[kind];
  const shapes: Record<string, readonly number[]> = { ...made.shapes };
  change?.(shapes);
  const tensors = madeWeights(shapes);
  if (salt !== undefined) {
    for (const [tensor, content] of tensors) {
      const [values, added] = [
        "values" in content ? content.values : [],
        madeWeight(`${salt} ${tensor}`, content.shape),
      ];
      tensors.set(tensor, {
        dtype: "F32",
        shape: content.shape,
        values: added.map((one, i) => (values[i] ?? 0) + one / 2),
      });
    }
  }
  const spoilt = tensors.get(nan ?? "");
  if (spoilt !== undefined && "values" in spoilt) (spoilt.values as Float32Array)[0] = Number.NaN;
  const path = join(folder, name);
  await writeCheckpoint(path, tensors, { shards: 2, config: { ...made.config, ...config } });
  if (hasTokenizer) await cp(tokenizerFolder(made.tokenizer), path, { recursive: true });
  return path;
}

const words = ["the", "model", "reads", "a", "good", "text", "and", "some", "other", "words", "then", "it", "ends"];

function sentence(seed: number): string {
  return Array.from({ length: 3 + (seed % 9) }, (_, i) => words[(seed * (i + 3) + i * i) % words.length]).join(" ");
}

const count = 24;
const numbers = Array.from({ length: count }, (_, i) => i);

/** Data of all kinds of tasks, by file. */
export const dataFiles: Readonly<Record<string, string>> = {
  "labels.jsonl": jsonLines(numbers.map((i) => ({ text: sentence(i), label: classes[i % 3] }))),
  "pairs.csv": `a,b,score\n${numbers.map((i) => `${sentence(i)},${sentence(i + 5)},${(i * 7) % 11}\n`).join("")}`,
  "choices.jsonl": jsonLines(
    numbers.map((i) => ({ question: sentence(i), choices: [sentence(i + 1), sentence(i + 2)], answer: i % 2 })),
  ),
  "texts.jsonl": jsonLines(numbers.map((i) => ({ text: `${sentence(i)}. ${sentence(i + 9)}` }))),
  "prompts.jsonl": jsonLines(numbers.map((i) => ({ prompt: sentence(i), answer: words[i % words.length] }))),
  "corpus.jsonl": jsonLines(numbers.map((i) => ({ id: `d${i}`, text: sentence(3 * i) }))),
  "queries.jsonl": jsonLines(numbers.slice(0, 8).map((i) => ({ id: `q${i}`, text: sentence(3 * i + 1) }))),
  "relevance.csv": `q,d\n${numbers
    .slice(0, 8)
    .map((i) => `q${i},d${(2 * i) % count}\n`)
    .join("")}`,
};

/** One task of each kind of measure, cut into many batches of unlike sizes. */
export const taskFiles = {
  classifier: `tasks:
  labels: {kind: classification, data: labels.jsonl, text: "{{text}}", label: label, batch: 5}
`,
  encoder: `tasks:
  pairs: {kind: similarity, data: pairs.csv, first: "{{a}}", second: "{{b}}", score: score, batch: 5}
  find:
    kind: retrieval
    corpus: {data: corpus.jsonl, id: id, text: "{{text}}"}
    queries: {data: queries.jsonl, id: id, text: "{{text}}"}
    relevance: {data: relevance.csv, query: q, document: d}
    batch: 7
`,
  decoder: `tasks:
  choices: {kind: multiple_choice, data: choices.jsonl, prompt: "{{question}}", choices: choices, answer: answer, batch: 5}
  texts: {kind: perplexity, data: texts.jsonl, text: "{{text}}", window: 24, stride: 12, batch: 4}
  prompts: {kind: generation, data: prompts.jsonl, prompt: "{{prompt}}", answer: answer, max_new_tokens: 12, batch: 3}
`,
} as const satisfies Readonly<Record<ModelKind, string>>;

/** Writes data and task files into `folder`. */
export async function writeTasks(folder: string): Promise<Readonly<Record<ModelKind, string>>> {
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(dataFiles)) await writeFile(join(folder, name), text);
  const paths: Partial<Record<ModelKind, string>> = {};
  for (const [kind, text] of Object.entries(taskFiles)) {
    const path = join(folder, `${kind}.yaml`);
    await writeFile(path, text);
    paths[kind as ModelKind] = path;
  }
  return paths as Readonly<Record<ModelKind, string>>;
}

/** Writes a task for the decoder whose batches, of one example each, take long enough for a signal to land in one. */
export async function writeSlowTask(folder: string, batches: number): Promise<string> {
  const path = join(folder, "slow.yaml");
  const data = 'data: prompts.jsonl, prompt: "{{prompt}}", answer: answer';
  const task = `{kind: generation, ${data}, max_new_tokens: 120, batch: 1, limit: ${batches}}`;
  await writeFile(path, `tasks:\n  slow: ${task}\n`);
  return path;
}

export interface LocalEvaluation extends Partial<EvaluationJob> {
  readonly agentCount?: number;
  readonly mode?: "thread" | "process";
  /** Of an agent, when it is not told how many to use. */
  readonly agentThreads?: number;
  readonly onEvent?: (event: EvaluationEvent) => void;
}

/** Evaluates checkpoints as the command does, with agents of its own. */
export function evaluateLocally(
  taskFile: string,
  paths: readonly string[],
  { agentCount = 1, mode = "thread", agentThreads = 1, ...more }: LocalEvaluation = {},
): Promise<EvaluationResult> {
  return evaluate({
    taskFile,
    models: paths.map((path, i) => ({ name: `m${i}`, path, role: "model" })),
    agents: { kind: "local", count: agentCount, mode, entry: agentEntry, slotsEach: 1, memoryBytesEach: 64 << 20 },
    agentWords: ["--eval-threads", String(agentThreads)],
    threads: 1,
    ...more,
  });
}

/** records.jsonl of an output folder. */
export function recordsIn(folder: string): Promise<string> {
  return readFile(join(folder, "records.jsonl"), "utf8");
}
