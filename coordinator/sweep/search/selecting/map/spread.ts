import type { Predicted } from "./surrogate-front.js";

/**
 * Some points of a front that stand for all of it: of each objective the best one, then always the one that is farthest
 * from all chosen so far (Gonzalez 1985), where every objective's extent counts as 1.
 */
export function spreadOver(front: readonly Predicted[], count: number): readonly Predicted[] {
  const objectives = front[0]?.losses.length ?? 0;
  const scaled = scaledLosses(front);
  const ends = Array.from({ length: objectives }, (_, objective) =>
    scaled.reduce((best, one, i) => ((one[objective] ?? 0) < (scaled[best]?.[objective] ?? 0) ? i : best), 0),
  );
  const chosen = front.length === 0 ? [] : [...new Set(ends)].slice(0, count);
  const distances = scaled.map((one) => Math.min(...chosen.map((i) => distance(one, scaled[i] ?? []))));
  while (chosen.length < Math.min(count, front.length)) {
    const farthest = distances.reduce((best, far, i) => (far > (distances[best] ?? 0) ? i : best), 0);
    if ((distances[farthest] ?? 0) === 0) break;
    chosen.push(farthest);
    scaled.forEach((one, i) => {
      distances[i] = Math.min(distances[i] ?? 0, distance(one, scaled[farthest] ?? []));
    });
  }
  return chosen.flatMap((i) => front[i] ?? []);
}

function scaledLosses(front: readonly Predicted[]): number[][] {
  const columns = (front[0]?.losses ?? []).map((_, objective) => front.map(({ losses }) => losses[objective] ?? 0));
  const least = columns.map((column) => Math.min(...column));
  const extents = columns.map((column, i) => Math.max(...column) - (least[i] ?? 0) || 1);
  return front.map(({ losses }) => losses.map((loss, i) => (loss - (least[i] ?? 0)) / (extents[i] ?? 1)));
}

function distance(a: readonly number[], b: readonly number[]): number {
  return Math.hypot(...a.map((value, i) => value - (b[i] ?? 0)));
}
