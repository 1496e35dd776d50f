import { describe, expect, test } from "vitest";
import { labelled } from "../../../coordinator/evaluate/kinds/multi-label.js";
import { pearson, spearman } from "../../../coordinator/evaluate/metrics/correlation.js";
import { metricsOf } from "../../../coordinator/evaluate/metrics/metrics-of.js";
import { scoreRanking, topDocuments } from "../../../coordinator/evaluate/metrics/ranking.js";
import { readGoldens } from "./goldens.js";

type Numbers = readonly number[];

interface MetricsGoldens {
  readonly correlations: readonly {
    readonly a: Numbers;
    readonly b: Numbers;
    readonly pearson: number;
    readonly spearman: number;
  }[];
  readonly rankings: readonly {
    readonly relevance: Numbers;
    readonly scores: Numbers;
    readonly at: number;
    readonly ndcg: number;
    readonly recall: number;
    readonly mrr: number;
  }[];
  readonly multi_label: {
    readonly truths: readonly Numbers[];
    readonly probabilities: readonly Numbers[];
    readonly micro_f1: number;
    readonly macro_f1: number;
    readonly acc: number;
    readonly mean_average_precision: number;
  };
}

const { correlations, rankings, multi_label: multiLabel } = readGoldens<MetricsGoldens>("metrics");

describe("scipy", () => {
  test.each(correlations)("correlates to $spearman by ranks and $pearson by values", (golden) => {
    expect(pearson(golden.a, golden.b)).toBeCloseTo(golden.pearson, 12);
    expect(spearman(golden.a, golden.b)).toBeCloseTo(golden.spearman, 12);
  });
});

describe("scikit-learn", () => {
  test.each(rankings)("gives a ranking an nDCG@$at of $ndcg", ({ relevance, scores, at, ndcg, recall, mrr }) => {
    const ids = scores.map((_, i) => `d${i}`);
    const ranking = topDocuments(Float32Array.from(scores), ids, at);
    const judged = new Map(relevance.map((score, i) => [`d${i}`, score]));
    const found = scoreRanking(ranking, judged, at);
    expect(found.ndcg).toBeCloseTo(ndcg, 12);
    expect(found.recall).toBeCloseTo(recall, 12);
    expect(found.reciprocalRank).toBeCloseTo(mrr, 12);
  });

  test("scores labels alike, whatever the order of the records", () => {
    const labels = ["a", "b", "c", "d", "e"];
    const records = multiLabel.probabilities.map((probabilities, i) => {
      // What the sigmoid makes these probabilities of.
      const logits = probabilities.map((p) => Math.log(p / (1 - p)));
      const truth = new Set(labels.flatMap((_, label) => (multiLabel.truths[i]?.[label] === 1 ? [label] : [])));
      const { scores, ...rest } = labelled(logits, truth, labels, 0.5 + 1e-9);
      // Probabilities have two digits; without the error of the way there and back, equal ones are equal again.
      const exact = Object.entries(scores).map(([name, score]) => [name, Math.round(score * 100) / 100]);
      return { id: String(i), ...rest, scores: Object.fromEntries(exact) };
    });
    for (const order of [records, records.toReversed()]) {
      for (const metric of metricsOf("multi_label", { threshold: 0.5 })) {
        const wanted = multiLabel[metric.name as keyof typeof multiLabel];
        expect(metric.of(order), metric.name).toBeCloseTo(Number(wanted), 12);
      }
    }
  });
});
