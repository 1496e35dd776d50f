/**
 * exp and log of elements: a fixed sequence of f32 operations, so that every backend that rounds each operation as
 * IEEE 754 asks gives the same bits. Errors are below 1 ulp over the normal range (measured; see the tests).
 *
 * The argument reductions are the usual ones (Cody and Waite 1980, "Software Manual for the Elementary Functions";
 * atanh form for the logarithm). The polynomials are our own: a discrete minimax fit over 1,500 Chebyshev points by
 * linear programming, weighted for relative error (2^−28.3 for exp, 2^−30.2 for log), coefficients rounded to f32.
 */

/** exp(x) = 2ⁿ · (1 + r + r² · q(r)) with n = ⌊x/ln 2 + ½⌋ and r = x − n · ln 2. */
export const expConstants = {
  /** Beyond these the result is 0 and +∞; they bound n, so that 2ⁿ is a product of two normal powers of two. */
  lowest: -104,
  highest: 89,
  log2e: Math.fround(Math.LOG2E),
  /** ln 2 in two parts; the first has 10 bits, so that n times it is exact. */
  ln2High: 355 / 512,
  ln2Low: Math.fround(Math.LN2 - 355 / 512),
  /** q, from the highest power down. */
  polynomial: [
    0.0013814320554956794, 0.00836885068565607, 0.041668400168418884, 0.1666651964187622, 0.4999999403953552,
  ],
} as const;

/**
 * log(2ᵏ · m) = k · ln 2 + log(1 + f) with m = 1 + f in [√½, √2), and with s = f/(2 + f) and h = f²/2:
 * log(1 + f) = f − h + s · (h + s² · p(s²)).
 */
export const logConstants = {
  smallestNormal: 2 ** -126,
  /** Brings subnormal numbers, whose exponent field says nothing, into the normal range. */
  subnormalScale: 2 ** 23,
  subnormalExponent: 23,
  /** The bits of √½ as f32: subtracted before the exponent is cut off, so that m begins there. */
  rootHalfBits: 0x3f35_04f3,
  /** ln 2 in two parts; the first has 16 bits, so that k times it is exact. */
  ln2High: 45_426 / 65_536,
  ln2Low: Math.fround(Math.LN2 - 45_426 / 65_536),
  /** p, from the highest power down. */
  polynomial: [0.29873624444007874, 0.39977481961250305, 0.6666677594184875],
} as const;

const round = Math.fround;
const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** e^x of an f32, as f32. Overflows to +∞, underflows gradually to 0; NaN stays. */
export function exp32(given: number): number {
  const { lowest, highest, log2e, ln2High, ln2Low, polynomial } = expConstants;
  const x = Math.max(lowest, Math.min(highest, given));
  const n = Math.floor(round(round(x * log2e) + 0.5));
  const r = round(round(x - round(n * ln2High)) - round(n * ln2Low));
  const fraction = round(round(round(horner(polynomial, r) * round(r * r)) + r) + 1);
  // Two steps: 2ⁿ alone may be subnormal or too large.
  const half = n >> 1;
  return round(round(fraction * powerOfTwo(half)) * powerOfTwo((n | 0) - half));
}

/** ln x of an f32, as f32. −∞ of ±0, NaN of what is below zero. */
export function log32(x: number): number {
  if (Number.isNaN(x) || x < 0) return Number.NaN;
  if (x === 0) return -Infinity;
  if (x === Infinity) return x;
  const { smallestNormal, subnormalScale, subnormalExponent, rootHalfBits, ln2High, ln2Low, polynomial } = logConstants;
  const isSubnormal = x < smallestNormal;
  const shifted = bitsOf(isSubnormal ? round(x * subnormalScale) : x) - rootHalfBits;
  const k = (shifted >> 23) - (isSubnormal ? subnormalExponent : 0);
  const f = round(fromBits((shifted & 0x7f_ffff) + rootHalfBits) - 1);
  const s = round(f / round(f + 2));
  const z = round(s * s);
  const h = round(round(f * 0.5) * f);
  const correction = round(s * round(round(horner(polynomial, z) * z) + h));
  return round(round(round(round(correction + round(k * ln2Low)) - h) + f) + round(k * ln2High));
}

function horner(coefficients: readonly number[], x: number): number {
  return coefficients.reduce((value, coefficient) => round(round(value * x) + coefficient), 0);
}

function powerOfTwo(exponent: number): number {
  return fromBits((exponent + 127) << 23);
}

function bitsOf(x: number): number {
  float[0] = x;
  return bits[0] ?? 0;
}

function fromBits(pattern: number): number {
  bits[0] = pattern;
  return float[0] ?? 0;
}
