/** A row of logits as probabilities: p = softmax(z / T), and log p without going through p, so that none is lost to underflow. */
export interface Softmax {
  readonly p: Float64Array;
  readonly logP: Float64Array;
}

/** Of `width` logits from `begin` on. NaN throughout where one is NaN or +∞; −∞ has the probability 0. */
export function softmaxOf(logits: ArrayLike<number>, begin: number, width: number, temperature = 1): Softmax {
  let largest = Number.NEGATIVE_INFINITY;
  for (let j = 0; j < width; j += 1) {
    const logit = logits[begin + j] ?? Number.NaN;
    // A comparison would pass over NaN, Math.max does not.
    largest = Math.max(largest, logit);
  }
  const logP = new Float64Array(width);
  let sum = 0;
  for (let j = 0; j < width; j += 1) {
    const shifted = ((logits[begin + j] ?? Number.NaN) - largest) / temperature;
    logP[j] = shifted;
    sum += Math.exp(shifted);
  }
  const logSum = Math.log(sum);
  const p = new Float64Array(width);
  for (let j = 0; j < width; j += 1) {
    const value = (logP[j] ?? 0) - logSum;
    logP[j] = value;
    p[j] = Math.exp(value);
  }
  return { p, logP };
}

/** (diag(p) − p pᵀ) v: the second derivative of log Σ exp along a direction, positive semidefinite. */
export function softmaxCurvature(p: Float64Array, direction: Float64Array): Float64Array {
  let mean = 0;
  for (let j = 0; j < p.length; j += 1) mean += (p[j] ?? 0) * (direction[j] ?? 0);
  return p.map((share, j) => share * ((direction[j] ?? 0) - mean));
}
