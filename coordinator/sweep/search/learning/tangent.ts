import { addScaled, dot, type Matrix, rowOf, zeros } from "../../../../shared/linalg/matrix.js";
import type { AnswerLoss, TaskAnswers } from "../../losses/answer-loss.js";
import { exampleCount } from "../../losses/per-row.js";
import type { Cheap } from "./minimise-in-box.js";

/** One task where the tangent touches: what the model answered, and how the answers change with each coefficient. */
export interface TangentTask {
  readonly weight: number;
  readonly answers: TaskAnswers;
  /** Columns of the Jacobian, in the shape of the answers. */
  readonly columns: readonly Float32Array[];
}

/**
 * The loss of z_c + J (x − x_c) as a function of x: what the merged model would lose if its answers were straight in the
 * coefficients, which they nearly are along task vectors (Ortiz-Jimenez et al. 2023). Its curvature is Gauss-Newton's,
 * Jᵀ H J, where the loss has one.
 */
export function tangentOf(loss: AnswerLoss, tasks: readonly TangentTask[], center: Float64Array): Cheap {
  const { curvature } = loss;
  const at = ({ answers, columns }: TangentTask, x: Float64Array): TaskAnswers => {
    // In f64 first: a sum of many small steps would be lost in f32.
    const values = new Float64Array(answers.values);
    for (const [i, column] of columns.entries()) {
      const step = (x[i] ?? 0) - (center[i] ?? 0);
      if (step !== 0) for (let k = 0; k < values.length; k += 1) values[k] = (values[k] ?? 0) + step * (column[k] ?? 0);
    }
    return { ...answers, values: new Float32Array(values) };
  };
  return {
    value: (x) => tasks.reduce((sum, task) => sum + task.weight * loss.value(at(task, x)), 0),

    gradient(x) {
      const gradient = new Float64Array(x.length);
      for (const task of tasks) {
        const slopes = loss.gradient(at(task, x));
        for (const [i, column] of task.columns.entries()) {
          gradient[i] = (gradient[i] ?? 0) + task.weight * dot(slopes, new Float64Array(column));
        }
      }
      return gradient;
    },

    curvature:
      curvature === undefined
        ? undefined
        : (x) => {
            const sum = zeros(x.length, x.length);
            for (const task of tasks)
              addScaled(sum.data, task.weight, gaussNewton(at(task, x), task.columns, curvature).data);
            return sum;
          },
  };
}

/** Mean over examples of Jᵀ H J. */
function gaussNewton(
  answers: TaskAnswers,
  columns: readonly Float32Array[],
  curvature: NonNullable<AnswerLoss["curvature"]>,
): Matrix {
  const { values, width } = answers;
  const examples = exampleCount(answers);
  const sum = zeros(columns.length, columns.length);
  // Of one example, one coefficient after the other: J, and H J.
  const slopes = zeros(columns.length, width);
  const bent = zeros(columns.length, width);
  for (let begin = 0; begin < values.length; begin += width) {
    const z = new Float64Array(values.subarray(begin, begin + width));
    for (const [i, column] of columns.entries()) {
      const slope = rowOf(slopes, i);
      slope.set(column.subarray(begin, begin + width));
      rowOf(bent, i).set(curvature(z, slope));
    }
    addProducts(sum, bent, slopes, 1 / examples);
  }
  for (let i = 0; i < sum.rows; i += 1) {
    for (let j = i + 1; j < sum.rows; j += 1) sum.data[i * sum.rows + j] = sum.data[j * sum.rows + i] ?? 0;
  }
  return sum;
}

/** The lower triangle of share · A Bᵀ. */
function addProducts(sum: Matrix, a: Matrix, b: Matrix, share: number): void {
  const { columns: width } = a;
  for (let i = 0; i < sum.rows; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let product = 0;
      for (let k = 0; k < width; k += 1) product += (a.data[i * width + k] ?? 0) * (b.data[j * width + k] ?? 0);
      sum.data[i * sum.columns + j] = (sum.data[i * sum.columns + j] ?? 0) + share * product;
    }
  }
}
