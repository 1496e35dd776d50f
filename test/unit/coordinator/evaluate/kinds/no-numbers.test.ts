import { expect, test } from "vitest";
import { classified } from "../../../../../coordinator/evaluate/kinds/classification.js";
import { chosen } from "../../../../../coordinator/evaluate/kinds/multiple-choice.js";
import { metricsOf } from "../../../../../coordinator/evaluate/metrics/metrics-of.js";
import { topDocuments } from "../../../../../coordinator/evaluate/metrics/ranking.js";

// Models that overflowed give NaN, which no comparison is true of: they must not come out as right.

test.each([
  [[Number.NaN, Number.NaN], 0],
  [[Number.NaN, 3], 1],
  [[3, Number.NaN], 0],
])("logits %j predict no class", (logits, answer) => {
  const { scores, prediction } = classified(logits, answer, ["a", "b"]);
  expect([scores["acc"], prediction]).toEqual([0, null]);
  expect(scores["entropy"]).toBeNaN();
});

test("log-probabilities that are NaN choose nothing", () => {
  const { scores, prediction } = chosen([Number.NaN, -3], ["first", "second"], 0);
  expect(scores).toMatchObject({ acc: 0, acc_norm: 0, acc_bytes: 0 });
  expect(prediction).toBeNull();
});

test("documents whose score is NaN are not found, and the others are in order", () => {
  const ids = ["broken", "a", "b", "c"];
  expect(topDocuments(Float32Array.of(Number.NaN, 0.9, 0.1, 0.95), ids, 3)).toEqual(["c", "a", "b"]);
  expect(topDocuments(new Float32Array(4).fill(Number.NaN), ids, 3)).toEqual([]);
});

test("a probability that is NaN leaves the average precision unknown", () => {
  const records = [0.9, Number.NaN, 0.2].map((p, i) => ({
    id: String(i),
    scores: { "p:x": p, "y:x": i === 0 ? 1 : 0 },
  }));
  const precision = metricsOf("multi_label", {}).find(({ name }) => name === "mean_average_precision");
  expect(precision?.of(records)).toBeNaN();
});
