import type { Point } from "../../coordinator/sweep/space.js";
import type { TrialRecord } from "../../coordinator/sweep/types.js";

/** A trial on record with one objective, "acc". */
export function madeTrial(trial: number, point: Point, acc: number, change: Partial<TrialRecord> = {}): TrialRecord {
  return {
    ...{ trial, point, rung: 0, key: `key ${trial}`, status: "done", weights: `weights ${trial}` },
    ...{ objectives: { acc }, losses: [-acc], loss: -acc, violation: 0, metrics: { "a.b": { acc } } },
    ...{ examples: 10, fresh: 10, segments: [], startedAt: "2026-01-02T03:04:05.678Z", seconds: 1.5 },
    facts: {
      ...{ agent: "one", provider: "cpu", attempts: 1, peakBytes: 2 ** 40, budgetBytes: 2 ** 41 },
      seconds: { plan: 0.1, wait: 0.2, read: 0.1, merge: 0.5, load: 0.2, run: 0.4 },
    },
    ...change,
  };
}
