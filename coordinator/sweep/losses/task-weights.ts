import type { Objective } from "../types.js";

/**
 * How much each task counts in the weighted sum of the objectives that are a given loss. The worst of the tasks has no
 * weights that are known beforehand: it counts as their mean.
 */
export function taskWeights(
  objectives: readonly Objective[],
  loss: string,
  tasks: readonly string[],
): ReadonlyMap<string, number> {
  const weights = new Map(tasks.map((task) => [task, 0]));
  for (const objective of objectives) {
    if (objective.kind !== "loss" || objective.loss !== loss) continue;
    const { of, weight } = objective;
    const counted = typeof of === "string" ? tasks : tasks.filter((task) => task === of.task);
    for (const task of counted) weights.set(task, (weights.get(task) ?? 0) + weight / counted.length);
  }
  return weights;
}
