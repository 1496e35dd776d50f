import { AmalgamError } from "../../../shared/errors.js";
import { addScaled, dot, type Matrix, rowOf, zeros } from "../../../shared/linalg/matrix.js";
import type { AnswerLoss, TaskAnswers } from "./answer-loss.js";
import { exampleCount } from "./per-row.js";
import { softmaxOf } from "./softmax.js";

/** Of the cosines; usual for text embeddings. */
const temperature = 0.05;

/** Of one task: with 384 numbers a sentence, a trial of so many takes seconds. */
export const maxPairs = 2_048;

/** Below it a vector has no direction (as in torch's normalize). */
const shortest = 1e-12;

/**
 * How well each first sentence finds its second one among those of all pairs of the task (van den Oord et al. 2018):
 * −log softmax(cos(a_i, b_j) / 0.05) at j = i. The time is O(pairs² · width).
 */
export const infoNce: AnswerLoss = {
  name: "info_nce",
  needsTeacher: false,
  needsClasses: false,
  maxExamples: maxPairs,

  value(answers) {
    const { first, second } = directionsOf(answers);
    let sum = 0;
    for (let i = 0; i < first.rows; i += 1) sum -= ranking(first, second, i).logP[i] ?? Number.NaN;
    return sum / first.rows;
  },

  gradient(answers) {
    const { first, second, lengths } = directionsOf(answers);
    const { rows: pairs, columns: width } = first;
    const gradient: Matrix = zeros(2 * pairs, width);
    for (let i = 0; i < pairs; i += 1) {
      const { p } = ranking(first, second, i);
      for (let j = 0; j < pairs; j += 1) {
        const pull = ((p[j] ?? 0) - (i === j ? 1 : 0)) / (temperature * pairs);
        addScaled(rowOf(gradient, i), pull, rowOf(second, j));
        addScaled(rowOf(gradient, pairs + j), pull, rowOf(first, i));
      }
    }
    for (let row = 0; row < 2 * pairs; row += 1) {
      // Through z / |z|: what points along the vector changes nothing.
      const unit = row < pairs ? rowOf(first, row) : rowOf(second, row - pairs);
      const own = rowOf(gradient, row);
      addScaled(own, -dot(own, unit), unit);
      const length = lengths[row] ?? 1;
      for (let j = 0; j < width; j += 1) own[j] = (own[j] ?? 0) / length;
    }
    return gradient.data;
  },
};

/** The cosines of one first sentence with all second ones, as probabilities. */
function ranking(first: Matrix, second: Matrix, i: number): ReturnType<typeof softmaxOf> {
  const cosines = Float64Array.from({ length: second.rows }, (_, j) => dot(rowOf(first, i), rowOf(second, j)));
  return softmaxOf(cosines, 0, cosines.length, temperature);
}

/** All vectors at length 1, and the lengths that they had. */
function directionsOf(answers: TaskAnswers): {
  readonly first: Matrix;
  readonly second: Matrix;
  readonly lengths: Float64Array;
} {
  const { values, width, rowsPerExample = 1 } = answers;
  if (rowsPerExample !== 2) {
    const problem = "it needs pairs of sentences, the task has one answer for each example";
    throw new AmalgamError("recipe_invalid", `Cannot compute the loss "info_nce": ${problem}`);
  }
  const pairs = exampleCount(answers);
  const all: Matrix = { rows: 2 * pairs, columns: width, data: Float64Array.from(values) };
  const lengths = new Float64Array(all.rows);
  for (let row = 0; row < all.rows; row += 1) {
    const vector = rowOf(all, row);
    const length = Math.max(shortest, Math.sqrt(dot(vector, vector)));
    lengths[row] = length;
    for (let j = 0; j < width; j += 1) vector[j] = (vector[j] ?? 0) / length;
  }
  const half = pairs * width;
  return {
    first: { rows: pairs, columns: width, data: all.data.subarray(0, half) },
    second: { rows: pairs, columns: width, data: all.data.subarray(half) },
    lengths,
  };
}
