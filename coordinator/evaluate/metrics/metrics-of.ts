import type { MetricSettings } from "../kinds/context.js";
import type { ExampleRecord, Metric, TaskKind } from "../types.js";
import { pearson, spearman, spearmanOnCounts } from "./correlation.js";
import { meanMetric, scoresOf } from "./mean.js";
import { multiLabelMetrics } from "./multi-label.js";
import { perplexityMetrics } from "./perplexity.js";

/**
 * The metrics of a kind, the first of which stands for a task unless its author chose another. They are computed from
 * records alone, so that records that were read back give the same. `settings`: {@link Prepared.metricSettings}.
 */
export function metricsOf(kind: TaskKind, settings: MetricSettings = {}): readonly Metric[] {
  switch (kind) {
    case "classification":
      return [meanMetric("acc"), meanMetric("logprob"), meanMetric("entropy", "entropy", false)];
    case "multiple_choice":
      return [meanMetric("acc"), meanMetric("acc_norm"), meanMetric("acc_bytes"), meanMetric("logprob")];
    case "perplexity":
      return perplexityMetrics;
    case "generation":
      return [meanMetric("exact_match"), meanMetric("f1")];
    case "similarity":
      return [
        correlation("spearman", spearman, spearmanOnCounts),
        correlation("pearson", pearson, (a, b) => (counts) => pearson(a, b, counts)),
      ];
    case "retrieval":
      return ["ndcg", "recall", "mrr"].map((name) => meanMetric(`${name}@${settings.at ?? defaultAt}`, name));
    case "multi_label":
      return multiLabelMetrics(settings.threshold ?? defaultThreshold);
    case "custom":
      return Object.entries(settings.scores ?? {}).map(([name, better]) => meanMetric(name, name, better === "higher"));
  }
}

const defaultAt = 10;
const defaultThreshold = 0.5;

type Values = readonly number[];
type OnCounts = ReturnType<NonNullable<Metric["onCounts"]>>;

function correlation(
  name: string,
  of: (a: Values, b: Values) => number,
  onCounts: (a: Values, b: Values) => OnCounts,
): Metric {
  const pair = (records: readonly ExampleRecord[]) => [scoresOf(records, "cosine"), scoresOf(records, "gold")] as const;
  return {
    name,
    higherIsBetter: true,
    of: (records) => of(...pair(records)),
    onCounts: (records) => onCounts(...pair(records)),
  };
}
