import type { ExampleRecord, Metric } from "../types.js";
import { scoresOf, sumOf } from "./mean.js";

/**
 * lm-evaluation-harness's weighted perplexities: all log-likelihood over all words, bytes or tokens, so that a long text
 * counts for more than a short one.
 */
export const perplexityMetrics: readonly Metric[] = [
  perplexityPer("word_perplexity", "words"),
  perplexityPer("byte_perplexity", "bytes"),
  { name: "bits_per_byte", higherIsBetter: false, of: (records) => natsPer(records, "bytes") / Math.LN2 },
  perplexityPer("token_perplexity", "tokens"),
];

function perplexityPer(name: string, unit: string): Metric {
  return { name, higherIsBetter: false, of: (records) => Math.exp(natsPer(records, unit)) };
}

function natsPer(records: readonly ExampleRecord[], unit: string): number {
  return -sumOf(scoresOf(records, "logprob")) / sumOf(scoresOf(records, unit));
}
