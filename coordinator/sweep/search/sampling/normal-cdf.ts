/** The share of the standard normal distribution below x: Abramowitz and Stegun 7.1.26 for the error function, to 1e-7. */
export function normalCdf(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * z);
  const polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const upper = 0.5 * polynomial * Math.exp(-z * z);
  return x < 0 ? upper : 1 - upper;
}
