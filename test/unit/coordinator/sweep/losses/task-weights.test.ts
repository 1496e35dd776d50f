import { expect, test } from "vitest";
import { taskWeights } from "../../../../../coordinator/sweep/losses/task-weights.js";
import type { Objective } from "../../../../../coordinator/sweep/types.js";

const tasks = ["a", "b"];
const loss = (of: Objective["of"], weight: number, name = "entropy"): Objective => {
  return { name: "x", of, weight, kind: "loss", loss: name };
};

test.each<[string, readonly Objective[], readonly number[]]>([
  ["the mean counts all alike", [loss("mean", 1)], [0.5, 0.5]],
  ["so does the worst, as far as is known", [loss("worst", 2)], [1, 1]],
  ["one task counts alone", [loss({ task: "b" }, 3)], [0, 3]],
  ["objectives add up", [loss("mean", 1), loss({ task: "a" }, 2)], [2.5, 0.5]],
  ["other losses do not count", [loss({ task: "a" }, 1), loss("mean", 9, "cross_entropy")], [1, 0]],
  ["nor do metrics", [{ name: "x", of: "mean", weight: 1, kind: "metric", metric: "acc" }], [0, 0]],
])("%s", (_, objectives, expected) => {
  expect([...taskWeights(objectives, "entropy", tasks).values()]).toEqual(expected);
});
