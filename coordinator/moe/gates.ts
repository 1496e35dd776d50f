import { type Dtype, dtypeBits } from "../../shared/checkpoint/dtypes.js";
import type { RowSegment } from "../../shared/checkpoint/row-segments.js";
import { formatCount, quote } from "../../shared/quote.js";
import type { MergedTensor } from "../plan/merged-tensor.js";
import { copyProgram } from "../plan/programs.js";
import type { PlannedInput, RowMap } from "../plan/types.js";
import type { Complaints } from "../recipe/complaints.js";
import type { MoeConfig, MoeExpert } from "./config.js";
import type { GatesFile } from "./hidden/gates-file.js";
import { normalGate, plainPromptGate, promptGate, uniformGate } from "./programs.js";
import type { PromptEncoder, TokenCounts } from "./prompts.js";

/** The base's token embedding. */
export interface Embedding {
  readonly input: PlannedInput;
  readonly rows: number;
  readonly columns: number;
}

/** Makes a layer's router [experts, hidden]: one row for each of these experts. */
export type MakeGate = (layer: number, name: string, experts: readonly MoeExpert[]) => MergedTensor;

/** Random gates: other numbers in every layer, since they grow from the tensor's name. */
export function randomGates({ gateMode, seed }: MoeConfig, hidden: number, dtype: Dtype): MakeGate {
  const program = gateMode === "random" ? normalGate : uniformGate;
  const parameters = gateMode === "random" ? [] : [Math.sqrt(1 / hidden)];
  const streams = gateMode === "random" ? 2 : 1;
  return (_, name, experts) => ({
    name,
    dtype,
    shape: [experts.length, hidden],
    program,
    parameters,
    inputs: [],
    randomStreams: Array.from({ length: streams }, (_, stream) => ({ seed, tensor: name, stream })),
  });
}

/**
 * Gates from the embeddings of the prompts' tokens, the same in every layer. Nothing is computed here: a row of an input
 * is a weighted sum of rows of the base's embedding, and only those rows are read.
 */
export function promptGates(
  embedding: Embedding,
  encoder: PromptEncoder,
  dtype: Dtype,
  { complaints, warnings }: { complaints: Complaints; warnings: string[] },
): MakeGate {
  const counts = (expert: MoeExpert, prompts: readonly string[]): TokenCounts => {
    const tokens = encoder.count(prompts);
    const beyond = [...tokens.keys()].find((token) => token >= embedding.rows);
    if (beyond !== undefined) {
      const rows = `its embedding has ${formatCount(embedding.rows)} rows`;
      complaints.add(expert.at, `A prompt has token ${beyond}, which the base has no weights for: ${rows}`);
    }
    return tokens;
  };
  const known = new Map<readonly MoeExpert[], Pick<MergedTensor, "program" | "inputs">>();
  const computationFor = (experts: readonly MoeExpert[]): Pick<MergedTensor, "program" | "inputs"> => {
    const before = known.get(experts);
    if (before !== undefined) return before;
    const positive = experts.map((expert) => counts(expert, expert.positivePrompts));
    const negative = experts.map((expert) => counts(expert, expert.negativePrompts));
    positive.forEach((tokens, i) => {
      const expert = experts[i];
      if (tokens.size === 0 && expert !== undefined)
        complaints.add(expert.at, `The prompts of ${quote(expert.model.value.text)} have no tokens`);
    });
    warnings.push(...indistinguishable(experts, positive, negative));
    const rows = (lists: readonly TokenCounts[]): PlannedInput => rowSums(embedding, lists);
    const made = negative.every(({ size }) => size === 0)
      ? { program: plainPromptGate, inputs: [rows(positive)] }
      : { program: promptGate, inputs: [rows(positive), rows(negative)] };
    known.set(experts, made);
    return made;
  };
  return (_, name, experts) => {
    const computation = computationFor(experts);
    const shape = [experts.length, embedding.columns];
    return { name, dtype, shape, ...computation, parameters: [], randomStreams: undefined };
  };
}

/** Gates that were made of hidden states, from their file. `source`, `model`: the file's and the base's, in the plan. */
export function hiddenGates(
  { experts, hidden, offsets }: GatesFile,
  { sharedExperts: shared }: Pick<MoeConfig, "sharedExperts">,
  { source, model }: Pick<PlannedInput, "source" | "model">,
  dtype: Dtype,
): MakeGate {
  return (layer, name, routed) => {
    const bytes = routed.length * hidden * experts.BYTES_PER_ELEMENT;
    const start = routed === shared ? offsets.sharedExperts : offsets.experts;
    const input: PlannedInput = { model, source, offset: start + layer * bytes, dtype: "F32", bytes };
    const shape = [routed.length, hidden];
    return { name, dtype, shape, program: copyProgram, inputs: [input], parameters: [], randomStreams: undefined };
  };
}

/** A matrix with one row per list: the sum of the embeddings of its tokens. */
function rowSums({ input, rows, columns }: Embedding, lists: readonly TokenCounts[]): PlannedInput {
  const { model, rows: _, ...stored } = input;
  const segments = lists.map((tokens): RowSegment => {
    const terms = [...tokens].map(([row, weight]) => ({ tensor: 0, row, rows: 1, weight }));
    return terms.length === 0 ? { kind: "zero", count: 1 } : { kind: "combination", count: 1, terms };
  });
  const map: RowMap = { tensors: [{ ...stored, rows }], columns, segments };
  const read = lists.reduce((sum, { size }) => sum + size, 0);
  return { model, ...stored, bytes: (read * columns * dtypeBits(stored.dtype)) / 8, rows: map };
}

/** Experts whose prompts have the same tokens have the same row, and the router cannot tell them apart. */
function indistinguishable(
  experts: readonly MoeExpert[],
  positive: readonly TokenCounts[],
  negative: readonly TokenCounts[],
): readonly string[] {
  const seen = new Map<string, number>();
  return experts.flatMap((_, i) => {
    const key = JSON.stringify([[...(positive[i] ?? [])], [...(negative[i] ?? [])]]);
    const first = seen.get(key);
    if (first === undefined) seen.set(key, i);
    return first === undefined
      ? []
      : [`The prompts of experts ${first} and ${i} have the same tokens: the router cannot tell these experts apart`];
  });
}
