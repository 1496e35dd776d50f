import type { AnswerLoss } from "./answer-loss.js";
import { gradientOfRows, meanOverRows, teacherOf } from "./per-row.js";

/** Mean over the elements of (z − what the expert answered)²: for embeddings and hidden states. */
export const squaredError: AnswerLoss = {
  name: "squared_error",
  needsTeacher: true,
  needsClasses: false,

  value(answers) {
    const { values, width } = answers;
    const teacher = teacherOf("squared_error", answers);
    return meanOverRows(answers, (begin) => {
      let sum = 0;
      for (let j = begin; j < begin + width; j += 1) sum += ((values[j] ?? 0) - (teacher[j] ?? 0)) ** 2;
      return sum / width;
    });
  },

  gradient(answers) {
    const { values, width } = answers;
    const teacher = teacherOf("squared_error", answers);
    return gradientOfRows(answers, (begin) =>
      Float64Array.from(
        { length: width },
        (_, j) => (2 * ((values[begin + j] ?? 0) - (teacher[begin + j] ?? 0))) / width,
      ),
    );
  },

  curvature: (z, direction) => direction.map((value) => (2 * value) / z.length),
};
