import { Random } from "../../coordinator/sweep/search/random.js";

// Functions with known optima that searches are measured on.

/** Of a place in the unit cube; the least value is 0. */
export type Loss = (unit: readonly number[]) => number;

/** Where the optima are: neither in the middle nor at the start. */
const centre = 0.3;

/** Axes whose curvatures differ by up to `condition`. */
export function ellipsoid(condition: number): Loss {
  return (unit) => {
    const last = Math.max(1, unit.length - 1);
    return unit.reduce((sum, x, i) => sum + condition ** (i / last) * (x - centre) ** 2, 0);
  };
}

export const sphere = ellipsoid(1);

/** A basis that is turned at random, by rows; always the same one. */
export function turnedAxes(dimensions: number): readonly (readonly number[])[] {
  const random = new Random(42, "rotation");
  const axes: number[][] = [];
  while (axes.length < dimensions) {
    let axis = Array.from({ length: dimensions }, () => random.normal());
    for (const other of axes) {
      const along = dot(axis, other);
      axis = axis.map((value, i) => value - along * (other[i] ?? 0));
    }
    const length = Math.hypot(...axis);
    axes.push(axis.map((value) => value / length));
  }
  return axes;
}

/** The same in that coordinate system. */
export function rotated(loss: Loss, dimensions: number): Loss {
  const axes = turnedAxes(dimensions);
  return (unit) => {
    const offset = unit.map((x) => x - centre);
    return loss(axes.map((axis) => dot(axis, offset) + centre));
  };
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}

/** On [−1, 2]ⁿ: a valley that is bent. */
export const rosenbrock: Loss = (unit) => {
  const x = unit.map((u) => 3 * u - 1);
  return x.slice(1).reduce((sum, next, i) => sum + 100 * (next - (x[i] ?? 0) ** 2) ** 2 + (1 - (x[i] ?? 0)) ** 2, 0);
};

/** Branin and Hoo 1972, less its least value: three optima. */
export const branin: Loss = ([u = 0, v = 0]) => {
  const [x, y] = [15 * u - 5, 15 * v];
  const valley = y - (5.1 / (4 * Math.PI ** 2)) * x ** 2 + (5 / Math.PI) * x - 6;
  return valley ** 2 + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x) + 10 - 0.397887357729739;
};

/** Zitzler, Deb and Thiele 2000: the second loss by the first and by the distance from the front, and their front's hypervolume below (1.1, 1.1) by pymoo 0.6.2. */
export const zdt = [
  ["ZDT1", (f: number, g: number) => g * (1 - Math.sqrt(f / g)), 0.87666],
  ["ZDT2", (f: number, g: number) => g * (1 - (f / g) ** 2), 0.54333],
  ["ZDT3", (f: number, g: number) => g * (1 - Math.sqrt(f / g) - (f / g) * Math.sin(10 * Math.PI * f)), 1.33175],
] as const;

/** Both losses of such a function. */
export function zdtLosses(
  second: (f: number, g: number) => number,
  unit: readonly number[],
): readonly [number, number] {
  const [f = 0, ...rest] = unit;
  const g = 1 + (9 * rest.reduce((sum, x) => sum + x, 0)) / rest.length;
  return [f, second(f, g)];
}
