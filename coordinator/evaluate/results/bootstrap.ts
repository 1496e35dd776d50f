import type { Estimate, ExampleRecord, Metric } from "../types.js";
import { quantile } from "./quantile.js";
import { onResamples, Resamples, resampleCount } from "./resamples.js";

/**
 * A metric with its 95 % interval: the 2.5th and 97.5th percentile of the metric over resamples of the records, drawn
 * with replacement (Efron and Tibshirani 1993, chapter 13). The same task, metric and records give the same bits.
 *
 * One record says nothing about how records vary, so its interval is unknown (NaN), and so is one of which half the
 * resamples or more have no value. An interval of no width, such as that of 20 right answers out of 20, means that no
 * resample differed, not that the value is certain: the true rate may be some 3/n lower.
 */
export function bootstrap(task: string, metric: Metric, records: readonly ExampleRecord[]): Estimate {
  const value = metric.of(records);
  if (records.length < 2) return { value, low: Number.NaN, high: Number.NaN };
  const count = resampleCount(records.length, metric);
  const resamples = new Resamples(task, metric.name, records.length);
  const measure = onResamples(metric, records);
  const values = Float64Array.from({ length: count }, (_, i) => measure(resamples.draw(i)));
  return { value, ...intervalOf(values) };
}

/** Where the middle 95 % of the values lie that are numbers. */
export function intervalOf(values: Float64Array): Omit<Estimate, "value"> {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  const dropped = values.length - sorted.length;
  const isTold = 2 * sorted.length > values.length;
  const low = isTold ? quantile(sorted, 0.025) : Number.NaN;
  const high = isTold ? quantile(sorted, 0.975) : Number.NaN;
  return dropped > 0 ? { low, high, dropped } : { low, high };
}
