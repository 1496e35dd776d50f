import type { ComputableDtype } from "../../shared/checkpoint/dtypes.js";
import { toNumbers } from "../../shared/checkpoint/numbers.js";

/** How far two tensors of numbers are apart. Elements that are not finite in both are only counted. */
export interface NumberDifference {
  /** Elements that are finite in both. */
  readonly compared: number;
  /** Elements that are NaN or infinite in one or both. */
  readonly nonFinite: number;
  /** The largest |a − b|. */
  readonly largest: number;
  /** √(mean of (a − b)²) */
  readonly rms: number;
  /** a·b / (|a| |b|); null when one of them is all zeros and the angle has no meaning. */
  readonly cosine: number | null;
}

/**
 * Adds up the difference of two tensors, part by part. Sums are f64 and go from first to last, so a report does not
 * change from one run to the next.
 */
export class DifferenceSum {
  #compared = 0;
  #nonFinite = 0;
  #largest = 0;
  #squares = 0;
  #dot = 0;
  #squaresA = 0;
  #squaresB = 0;

  /** The same elements of both tensors; each buffer begins with them. */
  add(
    a: { readonly dtype: ComputableDtype; readonly bytes: Uint8Array<ArrayBuffer> },
    b: { readonly dtype: ComputableDtype; readonly bytes: Uint8Array<ArrayBuffer> },
  ): void {
    const left = toNumbers(a.dtype, a.bytes);
    const right = toNumbers(b.dtype, b.bytes);
    // Locals: the loop runs once per weight of the model, and fields cost a load and a store each.
    let [largest, squares, dot, squaresA, squaresB, nonFinite] = [this.#largest, 0, 0, 0, 0, 0];
    for (let i = 0; i < left.length; i += 1) {
      const x = left[i] ?? 0;
      const y = right[i] ?? 0;
      const difference = x - y;
      // NaN when one is NaN, or both are infinite; infinite when one is.
      if (difference - difference !== 0) {
        if (!Number.isFinite(x) || !Number.isFinite(y)) {
          nonFinite += 1;
          continue;
        }
      }
      const magnitude = Math.abs(difference);
      if (magnitude > largest) largest = magnitude;
      squares += difference * difference;
      dot += x * y;
      squaresA += x * x;
      squaresB += y * y;
    }
    this.#compared += left.length - nonFinite;
    this.#nonFinite += nonFinite;
    this.#largest = largest;
    this.#squares += squares;
    this.#dot += dot;
    this.#squaresA += squaresA;
    this.#squaresB += squaresB;
  }

  result(): NumberDifference {
    const norms = Math.sqrt(this.#squaresA) * Math.sqrt(this.#squaresB);
    return {
      compared: this.#compared,
      nonFinite: this.#nonFinite,
      largest: this.#largest,
      rms: this.#compared === 0 ? 0 : Math.sqrt(this.#squares / this.#compared),
      // Rounding can carry it past the ends.
      cosine: norms > 0 ? Math.max(-1, Math.min(1, this.#dot / norms)) : null,
    };
  }
}
