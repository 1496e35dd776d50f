import { AmalgamError } from "../../shared/errors.js";
import { type Batch, sliceBatch } from "./batch.js";
import type { EvalSet } from "./eval-set.js";
import type { EvaluationSession } from "./session.js";

export interface Score {
  readonly correct: number;
  readonly total: number;
  /** From 0 to 1. */
  readonly accuracy: number;
}

/** Examples run at once: enough to keep the cores busy, few enough for activations to stay small. */
const batchSize = 128;

/** The share of examples for which the largest of the session's logits is that of the right class. */
export async function score(session: EvaluationSession, { count, inputs, labels }: EvalSet): Promise<Score> {
  let correct = 0;
  for (let from = 0; from < count; from += batchSize) {
    const to = Math.min(count, from + batchSize);
    const batch = new Map([...inputs].map(([name, column]) => [name, sliceBatch(column, from, to)]));
    const predicted = predict(await session.run(batch), to - from);
    correct += predicted.filter((label, i) => BigInt(label) === labels[from + i]).length;
  }
  return { correct, total: count, accuracy: count === 0 ? 0 : correct / count };
}

/** The class with the largest logit of each row, the first of equal ones; −1 when all are NaN, which is no answer. */
function predict({ values, shape }: Batch<Float32Array>, rows: number): readonly number[] {
  const [height, classes = 0, ...rest] = shape;
  if (height !== rows || rest.length > 0) {
    const problem = `its output has shape [${shape.join(", ")}], not [${rows}, classes]`;
    throw new AmalgamError("checkpoint_mismatch", `Cannot score the graph as a classifier: ${problem}`);
  }
  return Array.from({ length: rows }, (_, row) => largest(values.subarray(row * classes, (row + 1) * classes)));
}

function largest(logits: Float32Array): number {
  let best = -1;
  for (const [label, logit] of logits.entries()) {
    if (best < 0 ? !Number.isNaN(logit) : logit > (logits[best] ?? 0)) best = label;
  }
  return best;
}
