import { expect, test } from "vitest";
import { assertLossesFit } from "../../../../../coordinator/sweep/losses/assert-losses-fit.js";
import { maxPairs } from "../../../../../coordinator/sweep/losses/info-nce.js";
import { answerLosses } from "../../../../../coordinator/sweep/losses/losses.js";
import type { Objective, ScoredTask } from "../../../../../coordinator/sweep/types.js";

function task(name: string, searched: number, heldOut: number): ScoredTask {
  return { name, kind: "retrieval", metric: "ndcg", metricSettings: {}, rungs: [1, searched], heldOut };
}

function check(tasks: readonly ScoredTask[], loss: string, of: Objective["of"] = "mean"): void {
  assertLossesFit({ objectives: [{ name: loss, of, weight: 1, kind: "loss", loss }] }, tasks, answerLosses);
}

test.each([
  ["searched", task("b", maxPairs + 1, 0)],
  ["held out", task("b", 10, maxPairs + 1)],
])("a loss of pairs is not of more of them than it can compare: %s", (_, large) => {
  const small = task("a", maxPairs, maxPairs);
  const message =
    'Cannot compute the loss "info_nce" of task "b": it has 2,049 examples, more than the limit of 2,048; set "limit" under "tasks"';
  expect(() => check([small, large], "info_nce")).toThrow(message);
  expect(() => check([small, large], "info_nce", { task: "b" })).toThrow(message);
  check([small, large], "info_nce", { task: "a" });
  check([small, large], "entropy");
});
