import type { AnswerLoss } from "./answer-loss.js";
import { classesOf, gradientOfRows, meanOverRows } from "./per-row.js";
import { softmaxCurvature, softmaxOf } from "./softmax.js";

/** −log p of the right class, in nats. */
export const crossEntropy: AnswerLoss = {
  name: "cross_entropy",
  needsTeacher: false,
  needsClasses: true,

  value(answers) {
    const classes = classesOf("cross_entropy", answers);
    return meanOverRows(answers, (begin, row) => {
      const { logP } = softmaxOf(answers.values, begin, answers.width);
      return -(logP[classes[row] ?? 0] ?? Number.NaN);
    });
  },

  gradient(answers) {
    const classes = classesOf("cross_entropy", answers);
    return gradientOfRows(answers, (begin, row) => {
      const { p } = softmaxOf(answers.values, begin, answers.width);
      return p.map((share, j) => share - (j === classes[row] ? 1 : 0));
    });
  },

  curvature: (z, direction) => softmaxCurvature(softmaxOf(z, 0, z.length).p, direction),
};
