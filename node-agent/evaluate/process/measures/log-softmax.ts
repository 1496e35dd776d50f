/** log softmax(logits)[target], summed in f64. NaN where a logit is. */
export function logProbability(logits: Float32Array, target: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) largest = Math.max(largest, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  return (logits[target] ?? Number.NaN) - largest - Math.log(sum);
}

/** The first of the largest; NaN counts for nothing. */
export function argmax(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) {
    const [candidate = Number.NaN, largest = Number.NaN] = [logits[i], logits[best]];
    if (candidate > largest || (Number.isNaN(largest) && !Number.isNaN(candidate))) best = i;
  }
  return best;
}
