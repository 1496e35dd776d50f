import { addScaled, dot, scale } from "../../../../shared/linalg/matrix.js";

/** Pairs of steps and changes of the gradient that are remembered. */
const memory = 10;

/** A model of the curvature from the last steps, by the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4). */
export class LimitedMemory {
  readonly #pairs: { readonly step: Float64Array; readonly change: Float64Array }[] = [];

  remember(step: Float64Array, change: Float64Array): void {
    this.#pairs.push({ step, change });
    if (this.#pairs.length > memory) this.#pairs.shift();
  }

  /** −H g among the coefficients that are free to move; the others stay. Before any step, −g at a cautious length. */
  direction(gradient: Float64Array, free: readonly boolean[]): Float64Array {
    const restrict = (vector: Float64Array): Float64Array => vector.map((value, i) => (free[i] === true ? value : 0));
    const pairs = this.#pairs
      .map(({ step, change }) => ({ step: restrict(step), change: restrict(change) }))
      .map((pair) => ({ ...pair, along: dot(pair.step, pair.change) }))
      // Without positive curvature along a step it says nothing of a minimum.
      .filter(({ along, change }) => along > 1e-12 * dot(change, change));
    const direction = restrict(gradient);
    const parts: number[] = [];
    for (const { step, change, along } of pairs.toReversed()) {
      const part = dot(step, direction) / along;
      parts.push(part);
      addScaled(direction, -part, change);
    }
    const last = pairs.at(-1);
    const largest = direction.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    scale(direction, last === undefined ? Math.min(1, 0.1 / largest) : last.along / dot(last.change, last.change));
    for (const { step, change, along } of pairs) {
      const part = dot(change, direction) / along;
      addScaled(direction, (parts.pop() ?? 0) - part, step);
    }
    scale(direction, -1);
    return direction;
  }
}
