import type { AnswerLoss } from "./answer-loss.js";
import { gradientOfRows, meanOverRows, teacherOf } from "./per-row.js";
import { softmaxCurvature, softmaxOf } from "./softmax.js";

/**
 * T² KL(expert ‖ merged) of the predictions at temperature T, in nats (Hinton et al. 2015). A cross-entropy would have the
 * same gradient; this one is 0 where the merged model answers as the expert does.
 */
export function distillationAt(temperature: number): AnswerLoss {
  const name = "distillation";
  return {
    name,
    needsTeacher: true,
    needsClasses: false,

    value(answers) {
      const { values, width } = answers;
      const teacher = teacherOf(name, answers);
      return meanOverRows(answers, (begin) => {
        const expert = softmaxOf(teacher, begin, width, temperature);
        const merged = softmaxOf(values, begin, width, temperature);
        let divergence = 0;
        for (let j = 0; j < width; j += 1) {
          const share = expert.p[j] ?? 0;
          if (share !== 0) divergence += share * ((expert.logP[j] ?? 0) - (merged.logP[j] ?? 0));
        }
        return temperature ** 2 * divergence;
      });
    },

    gradient(answers) {
      const { values, width } = answers;
      const teacher = teacherOf(name, answers);
      return gradientOfRows(answers, (begin) => {
        const expert = softmaxOf(teacher, begin, width, temperature);
        const merged = softmaxOf(values, begin, width, temperature);
        return merged.p.map((share, j) => temperature * (share - (expert.p[j] ?? 0)));
      });
    },

    curvature: (z, direction) => softmaxCurvature(softmaxOf(z, 0, z.length, temperature).p, direction),
  };
}

/** At temperature 1, as Expert Merging has it. */
export const distillation = distillationAt(1);
