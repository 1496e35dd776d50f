/** What a model answered to the examples of one task, of those measured by vectors: logits or embeddings. */
export interface TaskAnswers {
  /** A row for each example, in order. */
  readonly values: Float32Array;
  readonly width: number;
  /** The right class of each example, where the task has labels. */
  readonly classes?: Int32Array;
  /** Rows per example: 2 for pairs of sentences, the first ones before all of the second. @default 1 */
  readonly rowsPerExample?: number;
  /** What the task's expert answered to the same examples, where the loss compares with it. */
  readonly teacher?: Float32Array;
}

/**
 * A loss of answers: mean over the examples of a task. Where metrics are for people, these have a gradient with respect to
 * what the model answered, from which coefficients are learnt without one through the model.
 */
export interface AnswerLoss {
  /** As authors write it: "entropy", "cross_entropy", "distillation", "info_nce". */
  readonly name: string;
  /** It needs the answers of the task's expert. */
  readonly needsTeacher: boolean;
  /** It needs the right classes. */
  readonly needsClasses: boolean;
  /** More examples of one task than this would take too long. @default any number */
  readonly maxExamples?: number;
  value(answers: TaskAnswers): number;
  /** dL/dz, in the shape of {@link TaskAnswers.values}. */
  gradient(answers: TaskAnswers): Float64Array;
  /**
   * H v for one example's row of answers z and a direction v, where H is positive semidefinite (Gauss-Newton): diag(p) −
   * p pᵀ of cross-entropies, 2/width of squared errors. Undefined where there is none, as for entropy.
   */
  readonly curvature?: (z: Float64Array, direction: Float64Array) => Float64Array;
}
