/** What a quadratic goes through, so that a surrogate stays where its metric can be. */
export interface Link {
  readonly name: "identity" | "sigmoid" | "softplus";
  readonly value: (q: number) => number;
  readonly slope: (q: number) => number;
  /** Of values at the edge or beyond, that of the nearest value inside. */
  readonly inverse: (value: number) => number;
}

/** An accuracy of 0 or 1 would lie at infinity; the sheet of Li et al. clips there. */
const accuracyMargin = 0.005;
const smallestLoss = 1e-9;

export const identity: Link = { name: "identity", value: (q) => q, slope: () => 1, inverse: (value) => value };

/** For values in (0, 1). */
export const sigmoid: Link = {
  name: "sigmoid",
  value: logistic,
  slope: (q) => logistic(q) * (1 - logistic(q)),
  inverse(value) {
    const inside = Math.min(1 - accuracyMargin, Math.max(accuracyMargin, value));
    return Math.log(inside / (1 - inside));
  },
};

/** For values above 0: log(1 + e^q), which is q where q is large. */
export const softplus: Link = {
  name: "softplus",
  value: (q) => Math.max(q, 0) + Math.log1p(Math.exp(-Math.abs(q))),
  slope: logistic,
  inverse(value) {
    const inside = Math.max(smallestLoss, value);
    return inside + Math.log(-Math.expm1(-inside));
  },
};

export const linkNames = ["auto", "identity", "sigmoid", "softplus"] as const;

/**
 * The link and sign for losses, where smaller is better. `auto`: losses that all lie in [−1, 0] are accuracies with their
 * sign turned, for which Li et al. take a sigmoid; losses that are never below 0 get softplus; others are left as they are.
 */
export function linkFor(losses: readonly number[], wanted: string): { readonly link: Link; readonly sign: 1 | -1 } {
  const isAccuracy = losses.every((loss) => loss >= -1 && loss <= 0) && losses.some((loss) => loss < 0);
  const isPositive = losses.every((loss) => loss >= 0);
  if (wanted === "sigmoid" || (wanted === "auto" && isAccuracy)) return { link: sigmoid, sign: isPositive ? 1 : -1 };
  if (wanted === "softplus" || (wanted === "auto" && isPositive)) return { link: softplus, sign: isPositive ? 1 : -1 };
  return { link: identity, sign: 1 };
}

function logistic(q: number): number {
  return q >= 0 ? 1 / (1 + Math.exp(-q)) : Math.exp(q) / (1 + Math.exp(q));
}
