import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";

/** How distances between tokens are put into buckets (Raffel et al., 2020, section 2.1). */
export interface Buckets {
  readonly buckets: number;
  /** Distances from here on share the last bucket. */
  readonly maxDistance: number;
  /** Whether the two directions have buckets of their own. If not, all tokens ahead are in the bucket of distance 0. */
  readonly bidirectional: boolean;
}

/** Above it a config is broken: the table of buckets is as long as twice the distance. */
export const maxDistanceLimit = 1 << 16;

/**
 * A learned number per bucket and head that is added to attention scores, [1, heads, time of queries, time of keys].
 * `name` is the table, stored as [buckets, heads]; `queries` and `keys` are the tokens' places, a list of INT64 each.
 */
export function relativeBias(
  g: GraphBuilder,
  { name, heads, ...how }: Buckets & { readonly name: string; readonly heads: number },
  queries: Value,
  keys: Value,
): Value {
  const distance = g.op("Sub", [
    g.op("Unsqueeze", [keys, g.constant("INT64", [0])]),
    g.op("Unsqueeze", [queries, g.constant("INT64", [1])]),
  ]);
  const farthest = g.constant("INT64", how.maxDistance);
  const clipped = g.op("Clip", [distance, g.constant("INT64", -how.maxDistance), farthest]);
  const table = g.constant("INT64", bucketsByDistance(how));
  const bucket = g.op("Gather", [table, g.op("Add", [clipped, farthest])]);
  const biases = g.op("Gather", [g.weight(name, [how.buckets, heads]), bucket]);
  return g.op("Unsqueeze", [g.op("Transpose", [biases], { perm: [2, 0, 1] }), g.constant("INT64", [0])]);
}

/**
 * The bucket of each distance (place of the key less place of the query) from −maxDistance to maxDistance. Half of a
 * direction's buckets hold one distance each, the others widen logarithmically. Computed in f32 as the models were
 * trained: where a logarithm is nearly whole, its rounding decides the bucket.
 */
export function bucketsByDistance({ buckets, maxDistance, bidirectional }: Buckets): readonly number[] {
  const perDirection = bidirectional ? Math.floor(buckets / 2) : buckets;
  const exact = Math.floor(perDirection / 2);
  const logRange = Math.fround(Math.log(maxDistance / exact));
  const bucketOf = (steps: number): number => {
    if (steps < exact) return steps;
    const log = Math.fround(Math.log(Math.fround(steps / exact)));
    const share = Math.fround(Math.fround(log / logRange) * (perDirection - exact));
    return Math.min(exact + Math.trunc(share), perDirection - 1);
  };
  return Array.from({ length: 2 * maxDistance + 1 }, (_, i) => {
    const distance = i - maxDistance;
    if (bidirectional) return bucketOf(Math.abs(distance)) + (distance > 0 ? perDirection : 0);
    return bucketOf(Math.max(-distance, 0));
  });
}
