import { createHash, type Hash } from "node:crypto";
import { AmalgamError } from "../../../shared/errors.js";
import type { Batch, BatchOutput, BatchPlan, InputTensor, Measure } from "../types.js";

/** Examples of one form, ready to be put into batches. */
export interface ExampleInputs {
  /** Which run together, by number. */
  readonly batches: readonly (readonly number[])[];
  /** How much work and how many bytes a batch is. */
  sizeOf(examples: readonly number[]): { readonly cost: number; readonly bytes: number };
  load(examples: readonly number[]): Promise<ReadonlyMap<string, InputTensor>>;
  /** Adds all that reaches the model. */
  addTo(hash: Hash): void;
}

/** Examples and what the model is asked about them. */
export interface Part {
  readonly measure: Measure;
  readonly inputs: ExampleInputs;
  /** Of a likelihood: the tokens of each example that are predicted, and the position that predicts the first. */
  readonly targets?: readonly Target[];
  /** Of a likelihood: the length that a batch is padded to. */
  timeOf?(examples: readonly number[]): number;
}

export interface Target {
  readonly first: number;
  readonly tokens: readonly number[];
}

export interface Likelihood {
  readonly logprobs: Float32Array;
  readonly greedy: Uint8Array;
}

/** The parts of a task as one row of batches, and the way back from their outputs to examples. */
export class Run {
  readonly #parts: readonly Part[];
  readonly #batches: readonly { readonly part: number; readonly examples: readonly number[] }[];

  constructor(...parts: readonly Part[]) {
    this.#parts = parts;
    this.#batches = parts.flatMap(({ inputs }, part) => inputs.batches.map((examples) => ({ part, examples })));
  }

  get plans(): readonly BatchPlan[] {
    return this.#batches.map(({ part, examples }) => {
      const { measure, inputs } = this.#part(part);
      return { measure, examples: examples.length, ...inputs.sizeOf(examples) };
    });
  }

  async load(batch: number): Promise<Batch> {
    const { part, examples } = this.#batch(batch);
    const { inputs, targets, timeOf } = this.#part(part);
    const tensors = await inputs.load(examples);
    if (targets === undefined || timeOf === undefined) return { inputs: tensors };
    return { inputs: tensors, targets: targetsOf(targets, examples, timeOf(examples)) };
  }

  /** Vectors of a part's examples, in their order. They are views of the outputs. */
  vectors(outputs: readonly BatchOutput[], part = 0): readonly Float32Array[] {
    return this.#byExample(outputs, part, (output, i) => {
      if (output.kind !== "vectors") throw unexpected("vectors", output);
      return output.values.subarray(i * output.width, (i + 1) * output.width);
    });
  }

  tokens(outputs: readonly BatchOutput[], part = 0): readonly Uint32Array[] {
    return this.#byExample(outputs, part, (output, i) => {
      if (output.kind !== "generation") throw unexpected("generation", output);
      return output.tokens[i] ?? new Uint32Array();
    });
  }

  likelihoods(outputs: readonly BatchOutput[], part = 0): readonly Likelihood[] {
    const { targets = [] } = this.#part(part);
    let start = 0;
    return this.#byExample(outputs, part, (output, i, examples) => {
      if (output.kind !== "likelihood") throw unexpected("likelihood", output);
      if (i === 0) start = 0;
      const from = start;
      start += targets[examples[i] ?? 0]?.tokens.length ?? 0;
      return { logprobs: output.logprobs.subarray(from, start), greedy: output.greedy.subarray(from, start) };
    });
  }

  /** Digest of measures, batches and all that reaches the model, and of whatever else decides scores. Hex SHA-256. */
  digest(...more: readonly unknown[]): string {
    const hash = createHash("sha256");
    for (const { measure, inputs, targets } of this.#parts) {
      addList(hash, [measure, ...inputs.batches]);
      addList(hash, targets ?? []);
      inputs.addTo(hash);
    }
    for (const item of more) addList(hash, Array.isArray(item) ? item : [item]);
    return hash.digest("hex");
  }

  #byExample<Answer>(
    outputs: readonly BatchOutput[],
    part: number,
    answerOf: (output: BatchOutput, i: number, examples: readonly number[]) => Answer,
  ): readonly Answer[] {
    const answers: Answer[] = [];
    for (const [batch, output] of outputs.entries()) {
      const { part: owner, examples } = this.#batch(batch);
      if (owner !== part) continue;
      for (const [i, example] of examples.entries()) answers[example] = answerOf(output, i, examples);
    }
    return answers;
  }

  #part(index: number): Part {
    const part = this.#parts[index];
    if (part === undefined) throw new AmalgamError("internal", `No part ${index} of ${this.#parts.length}`);
    return part;
  }

  #batch(index: number): { readonly part: number; readonly examples: readonly number[] } {
    const batch = this.#batches[index];
    if (batch === undefined) throw new AmalgamError("internal", `No batch ${index} of ${this.#batches.length}`);
    return batch;
  }
}

/** An item at a time: all of a task's texts together may be longer than any string can be. */
function addList(hash: Hash, items: readonly unknown[]): void {
  hash.update(`${items.length}\n`);
  for (const item of items) hash.update(`${JSON.stringify(item, withoutPlaces)}\n`);
}

function targetsOf(
  targets: readonly Target[],
  examples: readonly number[],
  time: number,
): NonNullable<Batch["targets"]> {
  const rows: number[] = [];
  const tokens: number[] = [];
  for (const [row, example] of examples.entries()) {
    const target = targets[example];
    target?.tokens.forEach((token, i) => {
      rows.push(row * time + target.first + i);
      tokens.push(token);
    });
  }
  return { rows: Uint32Array.from(rows), tokens: Uint32Array.from(tokens) };
}

/** Where a setting was written, and where its data lies, decides nothing. */
function withoutPlaces(key: string, value: unknown): unknown {
  return key === "place" || key === "paths" ? undefined : value;
}

function unexpected(wanted: BatchOutput["kind"], { kind }: BatchOutput): AmalgamError {
  return new AmalgamError("internal", `An output is ${kind} where ${wanted} was asked for`);
}
