import { branin, ellipsoid, type Loss, rosenbrock, rotated, sphere } from "../../../test/support/search-functions.js";

/** A function, what it is to be brought to, and the searches that are for such. `theirs.py` has the same functions. */
export interface Goal {
  readonly name: string;
  readonly label: string;
  readonly dimensions: number;
  readonly loss: Loss;
  readonly target: number;
  /** By name: the most evaluations. */
  readonly searches: Readonly<Record<string, number>>;
}

const few = {
  random: 2000,
  sobol: 2000,
  tpe: 200,
  "tpe, 8 at once": 200,
  "cma-es": 1000,
  "differential evolution": 2000,
};
const many = { "cma-es": 6000, "sep-cma-es": 6000, "differential evolution": 6000 };

export const goals: readonly Goal[] = [
  { name: "branin", label: "Branin, 2-D", dimensions: 2, loss: branin, target: 0.05, searches: few },
  { name: "sphere", label: "sphere, 4-D", dimensions: 4, loss: sphere, target: 0.01, searches: few },
  {
    ...{ name: "ellipsoid", label: "ellipsoid κ = 10³, 8-D", dimensions: 8, loss: ellipsoid(1e3) },
    ...{ target: 1e-6, searches: many },
  },
  {
    ...{ name: "rotated", label: "the same, rotated", dimensions: 8, loss: rotated(ellipsoid(1e3), 8) },
    ...{ target: 1e-6, searches: many },
  },
  { name: "rosenbrock", label: "Rosenbrock, 4-D", dimensions: 4, loss: rosenbrock, target: 1e-6, searches: many },
];

/** ZDT1 in so many dimensions, by populations of 40, until a front has this share of the best one's hypervolume. */
export const frontGoal = { dimensions: 6, target: 0.97, evaluations: 3000 };
