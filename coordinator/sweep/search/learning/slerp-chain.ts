import type { TaskVectors } from "../../task-vectors.js";

/** Sines below it: the vectors point the same way, and a straight line is as good. */
const parallel = 1e-6;

/**
 * Vectors interpolated one after the other along spheres, as Self Positioning does: V_1 = τ_1, and V_j lies between
 * V_(j−1) and τ_j, at a_j / (a_j + mean of the a before it). Interpolated vectors are sums of multiples of those they are
 * made of, so all that is needed are lengths and angles; returned are the multiples, c with V = Σ c_i τ_i.
 * `weights` are not negative.
 */
export function slerpChain(gram: TaskVectors["gram"], weights: ArrayLike<number>): Float64Array {
  const multiples = new Float64Array(gram.length);
  if (gram.length === 0) return multiples;
  multiples[0] = 1;
  let sum = weights[0] ?? 0;
  for (let j = 1; j < gram.length; j += 1) {
    const weight = weights[j] ?? 0;
    const mean = sum / j;
    const t = weight + mean === 0 ? 0.5 : weight / (weight + mean);
    const [before, after] = slerpWeights(cosine(gram, multiples, j), t);
    for (let i = 0; i < j; i += 1) multiples[i] = before * (multiples[i] ?? 0);
    multiples[j] = after;
    sum += weight;
  }
  return multiples;
}

/** What two vectors are multiplied by at t between them (Shoemake 1985). */
function slerpWeights(cosineBetween: number, t: number): readonly [number, number] {
  const angle = Math.acos(Math.min(1, Math.max(-1, cosineBetween)));
  const sine = Math.sin(angle);
  if (sine < parallel) return [1 - t, t];
  return [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine];
}

/** Between V = Σ c_i τ_i and τ_j; 0 where one of them has no length. */
function cosine(gram: TaskVectors["gram"], multiples: Float64Array, j: number): number {
  let [product, square] = [0, 0];
  for (let i = 0; i < j; i += 1) {
    product += (multiples[i] ?? 0) * (gram[i]?.[j] ?? 0);
    for (let k = 0; k < j; k += 1) square += (multiples[i] ?? 0) * (multiples[k] ?? 0) * (gram[i]?.[k] ?? 0);
  }
  const lengths = Math.sqrt(square * (gram[j]?.[j] ?? 0));
  return lengths === 0 ? 0 : product / lengths;
}
