import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { distillationAt } from "../../../../coordinator/sweep/losses/distillation.js";
import { answerLosses } from "../../../../coordinator/sweep/losses/losses.js";
import { repositoryPath } from "../../../support/repository.js";

interface Goldens {
  readonly width: number;
  readonly values: readonly number[];
  readonly teacher: readonly number[];
  readonly classes: readonly number[];
  readonly losses: Readonly<Record<string, { readonly value: number; readonly gradient: readonly number[] }>>;
}

const file = repositoryPath("test/conformance/sweep/losses/goldens.json");
const goldens: Goldens = JSON.parse(readFileSync(file, "utf8"));
const known = [...answerLosses, { ...distillationAt(2), name: "distillation at temperature 2" }];

test.each(known.map((loss) => [loss.name, loss] as const))("%s and its gradient are torch's", (name, loss) => {
  const { values, teacher, classes, width } = goldens;
  const golden = goldens.losses[name];
  const answers = {
    width,
    values: Float32Array.from(values),
    teacher: Float32Array.from(teacher),
    classes: Int32Array.from(classes),
    ...(name === "info_nce" ? { rowsPerExample: 2 } : {}),
  };
  expect(loss.value(answers)).toBeCloseTo(golden?.value ?? Number.NaN, 12);
  const gradient = loss.gradient(answers);
  expect(gradient).toHaveLength(golden?.gradient.length ?? 0);
  for (const [i, slope] of gradient.entries()) expect(slope).toBeCloseTo(golden?.gradient[i] ?? Number.NaN, 11);
});
