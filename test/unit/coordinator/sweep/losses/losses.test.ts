import { describe, expect, test } from "vitest";
import type { AnswerLoss, TaskAnswers } from "../../../../../coordinator/sweep/losses/answer-loss.js";
import { distillation, distillationAt } from "../../../../../coordinator/sweep/losses/distillation.js";
import { entropy } from "../../../../../coordinator/sweep/losses/entropy.js";
import { infoNce } from "../../../../../coordinator/sweep/losses/info-nce.js";
import { answerLosses } from "../../../../../coordinator/sweep/losses/losses.js";
import { Random } from "../../../../../coordinator/sweep/search/random.js";

const width = 5;
const rows = 6;

function answersFor({ name }: AnswerLoss, seed = 1): TaskAnswers {
  const random = new Random(seed, name);
  const numbers = (): Float32Array => Float32Array.from({ length: rows * width }, () => random.normal() * 2);
  return {
    ...{ values: numbers(), width, teacher: numbers() },
    ...(name === "info_nce" ? { rowsPerExample: 2 } : {}),
    classes: Int32Array.from({ length: rows }, () => random.integer(width)),
  };
}

/** Answers moved along a direction. */
function moved(answers: TaskAnswers, direction: ArrayLike<number>, by: number): TaskAnswers {
  return { ...answers, values: answers.values.map((value, i) => value + by * (direction[i] ?? 0)) };
}

const losses = [...answerLosses, { ...distillationAt(3), name: "distillation at temperature 3" }];

describe.each(losses.map((loss) => [loss.name, loss] as const))("%s", (_, loss) => {
  const answers = answersFor(loss);

  test("its gradient is the slope of its value along any direction", () => {
    const random = new Random(2, loss.name);
    const gradient = loss.gradient(answers);
    for (let k = 0; k < 5; k += 1) {
      const direction = Float64Array.from(answers.values, () => random.normal());
      // Answers are f32: a step that is not small drowns their rounding.
      const h = 1 / 128;
      const slope = (loss.value(moved(answers, direction, h)) - loss.value(moved(answers, direction, -h))) / (2 * h);
      const exact = gradient.reduce((sum, value, i) => sum + value * (direction[i] ?? 0), 0);
      expect(slope).toBeCloseTo(exact, loss.name === "info_nce" ? 1 : 3);
    }
  });

  test("answers that are not numbers have no value", () => {
    const values = answers.values.slice();
    values[7] = Number.NaN;
    expect(loss.value({ ...answers, values })).toBeNaN();
  });

  test("it can be minimised: small steps against its gradient make it smaller", () => {
    const gradient = loss.gradient(answers);
    expect(loss.value(moved(answers, gradient, -0.01))).toBeLessThan(loss.value(answers));
  });
});

const curved = losses.filter(({ curvature }) => curvature !== undefined);

test.each(curved.map((loss) => [loss.name, loss] as const))(
  "the curvature of %s is how its gradient changes",
  (_, loss) => {
    // One example alone, so that means over examples do not matter.
    const all = answersFor(loss);
    const one: TaskAnswers = {
      ...all,
      values: all.values.slice(0, width),
      teacher: (all.teacher ?? all.values).slice(0, width),
      classes: (all.classes ?? new Int32Array()).slice(0, 1),
    };
    const direction = Float64Array.from({ length: width }, (_value, i) => Math.sin(1 + i));
    const bent = loss.curvature?.(Float64Array.from(one.values), direction) ?? new Float64Array();
    const h = 1 / 256;
    const [above, below] = [loss.gradient(moved(one, direction, h)), loss.gradient(moved(one, direction, -h))];
    for (const [i, value] of bent.entries()) {
      expect(((above[i] ?? 0) - (below[i] ?? 0)) / (2 * h)).toBeCloseTo(value, 4);
    }
  },
);

test.each(["distillation", "squared_error"])("%s is 0 where the merged model answers as the expert does", (name) => {
  const loss = answerLosses.find((one) => one.name === name) as AnswerLoss;
  const answers = answersFor(loss);
  const same = { ...answers, teacher: answers.values };
  expect(loss.value(same)).toBe(0);
  expect(Math.max(...loss.gradient(same).map(Math.abs))).toBe(0);
});

test("entropy is between that of a sure answer, 0, and that of no idea, log of the classes", () => {
  expect(entropy.value({ values: Float32Array.of(1e4, 0, -1e4), width: 3 })).toBe(0);
  expect(entropy.value({ values: Float32Array.of(7, 7, 7), width: 3 })).toBeCloseTo(Math.log(3), 12);
});

test("logits far apart, and classes that a model rules out, overflow nothing", () => {
  const values = Float32Array.of(3e38, -3e38, Number.NEGATIVE_INFINITY);
  for (const loss of [entropy, distillation]) {
    expect(loss.value({ values, width: 3, teacher: values })).toBe(0);
    expect(Array.from(loss.gradient({ values, width: 3, teacher: values }), Math.abs)).toEqual([0, 0, 0]);
  }
});

test("pairs of sentences with the same direction each, and no other, have next to no contrastive loss", () => {
  // Lengths do not count: the second sentences are three times as long.
  const values = Float32Array.of(1, 0, 0, 1, 3, 0, 0, 3);
  expect(infoNce.value({ values, width: 2, rowsPerExample: 2 })).toBeCloseTo(Math.log(1 + Math.exp(-20)), 12);
});

test.each([
  ["cross_entropy", { classes: undefined }, 'Cannot compute the loss "cross_entropy": the task has no labels'],
  ["cross_entropy", { classes: Int32Array.of(0, 9) }, "there is a label 9, and the model has 2 classes"],
  ["distillation", { teacher: undefined }, "the answers of the task's expert are not there"],
  ["squared_error", { teacher: new Float32Array(3) }, "the task's expert gave 3 numbers and the merged model 4"],
  ["info_nce", {}, 'Cannot compute the loss "info_nce": it needs pairs of sentences'],
])("%s says what it lacks: %o", (name, change, message) => {
  const loss = answerLosses.find((one) => one.name === name) as AnswerLoss;
  const answers = { values: new Float32Array(4), width: 2, ...change } as TaskAnswers;
  expect(() => loss.value(answers)).toThrow(message);
});
