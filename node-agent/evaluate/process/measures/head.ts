import { Tensor } from "onnxruntime-node";
import { AmalgamError } from "../../../../shared/errors.js";
import { wholeTensor } from "../graph-inputs.js";
import { floats, run, wholes } from "../run.js";
import type { LoadedGraph } from "../session-store.js";
import { argmax, logProbability } from "./log-softmax.js";

/** Rows of hidden states or of logits. */
export interface Rows {
  readonly values: Float32Array;
  readonly width: number;
}

/** What is known about the token that follows a row. */
export interface Predictions {
  /** Of the target. */
  readonly logprobs: Float32Array;
  /** The most likely token. */
  readonly best: Float64Array;
}

/** Logits in memory at once, so that a large vocabulary does not decide how large batches may be. */
const maxLogitsBytes = 64 << 20;

/** `[rows, vocabulary]` of f32, and its log-softmax. */
const logitsCopies = 3;

/** Runs a head on rows of hidden states, a chunk of them at a time. How many follows from the graph alone. */
export async function predict(
  head: LoadedGraph,
  { values, width }: Rows,
  targets: readonly number[],
): Promise<Predictions> {
  const chunk = headRows(head.weights.widest);
  const logprobs = new Float32Array(targets.length);
  const best = new Float64Array(targets.length);
  for (let from = 0; from < targets.length; from += chunk) {
    const to = Math.min(targets.length, from + chunk);
    const feeds = {
      hidden: new Tensor("float32", values.subarray(from * width, to * width), [to - from, width]),
      targets: wholeTensor(targets.slice(from, to), [to - from]),
    };
    const found = await run(head, feeds, ["logprobs", "best"]);
    logprobs.set(floats("logprobs", found("logprobs")), from);
    best.set(wholes("best", found("best")), from);
  }
  return { logprobs, best };
}

/** Rows that a head of so many tokens takes at once. */
export function headRows(vocabulary: number): number {
  return Math.max(1, Math.floor(maxLogitsBytes / (4 * vocabulary)));
}

/** How often a head of so many tokens is run for so many rows. */
export function headRuns(rows: number, vocabulary: number): number {
  return Math.ceil(rows / headRows(vocabulary));
}

/** What a head's logits take at most. */
export function headBytes(vocabulary: number): number {
  return logitsCopies * 4 * vocabulary * headRows(vocabulary);
}

/** The same for rows of logits, as exports of other makers end in. */
export function predictFromLogits({ values, width }: Rows, targets: readonly number[]): Predictions {
  const logprobs = new Float32Array(targets.length);
  const best = new Float64Array(targets.length);
  for (const [row, target] of targets.entries()) {
    if (target >= width) {
      throw new AmalgamError("checkpoint_mismatch", `Cannot score token ${target}: the graph has ${width} logits`);
    }
    const logits = values.subarray(row * width, (row + 1) * width);
    logprobs[row] = logProbability(logits, target);
    best[row] = argmax(logits);
  }
  return { logprobs, best };
}
