import type { AnswerLoss } from "./answer-loss.js";
import { gradientOfRows, meanOverRows } from "./per-row.js";
import { softmaxOf } from "./softmax.js";

/**
 * Shannon entropy of the predictions, in nats: how unsure the model is, without labels (Yang et al. 2024, AdaMerging,
 * equation 5). It is not convex in the logits, so there is no curvature to use.
 */
export const entropy: AnswerLoss = {
  name: "entropy",
  needsTeacher: false,
  needsClasses: false,

  value(answers) {
    return meanOverRows(answers, (begin) => entropyOf(softmaxOf(answers.values, begin, answers.width)));
  },

  gradient(answers) {
    return gradientOfRows(answers, (begin) => {
      const row = softmaxOf(answers.values, begin, answers.width);
      const h = entropyOf(row);
      return row.p.map((p, j) => (p === 0 ? 0 : -p * ((row.logP[j] ?? 0) + h)));
    });
  },
};

function entropyOf({ p, logP }: ReturnType<typeof softmaxOf>): number {
  let sum = 0;
  // 0 log 0 is 0 here, and 0 · −∞ would be NaN.
  for (let j = 0; j < p.length; j += 1) if (p[j] !== 0) sum -= (p[j] ?? 0) * (logP[j] ?? 0);
  return sum;
}
