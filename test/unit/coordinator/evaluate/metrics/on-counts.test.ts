import { expect, test } from "vitest";
import { metricsOf } from "../../../../../coordinator/evaluate/metrics/metrics-of.js";
import { onResamples, Resamples } from "../../../../../coordinator/evaluate/results/resamples.js";
import type { ExampleRecord } from "../../../../../coordinator/evaluate/types.js";
import { seeded } from "../../../../support/random.js";

const random = seeded(7);
/** Few different values, so that many are equal. */
const coarse = (): number => Math.floor(random() * 6) / 5;
const records: readonly ExampleRecord[] = Array.from({ length: 60 }, (_, i) => {
  const labels = ["a", "b", "c"].flatMap((label) => [
    [`p:${label}`, coarse()],
    [`y:${label}`, random() < 0.2 ? 1 : 0],
  ]);
  return { id: String(i), scores: { cosine: coarse(), gold: coarse(), acc: i % 2, ...Object.fromEntries(labels) } };
});
const metrics = (["similarity", "multi_label"] as const).flatMap((kind) => metricsOf(kind));

test.each(metrics.map((metric) => [metric.name, metric] as const))(
  "%s of a resample is that of the records that were drawn (seed 7)",
  (_, metric) => {
    const resamples = new Resamples("task", metric.name, records.length);
    const measure = onResamples(metric, records);
    for (let i = 0; i < 20; i++) {
      const drawn = resamples.draw(i);
      const wanted = metric.of([...drawn].flatMap((place) => records[place] ?? []));
      expect(measure(drawn)).toBeCloseTo(wanted, 12);
    }
  },
);
