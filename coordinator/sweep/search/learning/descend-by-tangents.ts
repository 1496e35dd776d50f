import { formatBytes } from "../../../../shared/bytes.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { addScaled } from "../../../../shared/linalg/matrix.js";
import { evaluate, type Outcome, type Searching } from "../searching.js";
import { boxAround, intoBox } from "./box.js";
import { type AnswerDescent, type Descended, reasonOf, totalLoss } from "./descent.js";
import { columnOf, probesAt } from "./finite-differences.js";
import { type Cheap, minimisingInBox } from "./minimise-in-box.js";
import { type Probed, pairUp, probeRequests } from "./probing.js";
import { type TangentTask, tangentOf } from "./tangent.js";

export interface TangentSettings {
  /** Jacobians that are measured at most: 2 trials for each coefficient. */
  readonly rounds: number;
  /** How far from the centre the trials for slopes are. */
  readonly epsilon: number;
  /** How far a first step may go along each coefficient. */
  readonly radius: number;
  /** Converged, when the surrogate promises a smaller share of the loss than this. */
  readonly tolerance: number;
}

/** Steps that are tried within one round: each costs a trial and halves the radius at least. */
const maxSteps = 6;

/** Of all slopes together: one number for each coefficient, example and class. */
const maxJacobianBytes = 2 ** 31;

/**
 * Few expensive rounds: measure the slopes of all answers, minimise the loss of straight answers in a trust region, look
 * whether the true loss fell as promised (Nocedal & Wright 2006, algorithm 4.1). A round costs 2 trials for each
 * coefficient, all at once, and one more for each step.
 */
export function* descendByTangents(
  descent: AnswerDescent,
  start: Float64Array,
  settings: TangentSettings,
): Searching<Descended> {
  const { box, note, regulariser } = descent;
  let x = intoBox(box, start);
  let radius = settings.radius;
  const widest = box.low.reduce((most, low, i) => Math.max(most, (box.high[i] ?? low) - low), 0);
  let [center] = yield* evaluate([descent.request(x, "start")]);
  let loss = totalLoss(descent, x, center);
  const course: Descended["course"][number][] = [{ round: 0, loss }];
  if (center === undefined || !Number.isFinite(loss)) {
    note(`Nothing was learnt: the trial at the start is of no use (${reasonOf(center)})`);
    return { x, loss, course };
  }
  for (let round = 1; round <= settings.rounds; round += 1) {
    const probes = probesAt(box, x, settings.epsilon);
    assertRoom(descent, center, probes.length);
    const outcomes = yield* evaluate(probeRequests(descent, x, probes, `round ${round}`));
    const surrogate = surrogateAt(x, center, pairUp(descent, probes, outcomes));
    const promisedAt = surrogate.value(x);
    let accepted = false;
    for (let step = 0; step < maxSteps && !accepted; step += 1) {
      const place = yield* minimisingInBox(surrogate, x, boxAround(box, x, radius));
      const promised = promisedAt - surrogate.value(place);
      if (promised <= settings.tolerance * Math.abs(loss) || promised < 1e-10) {
        course.push({ round, loss, promised, radius, converged: true });
        return { x, loss, course };
      }
      const [trial] = yield* evaluate([descent.request(place, `round ${round}, step`)]);
      const reached = totalLoss(descent, place, trial);
      const far = place.reduce((most, value, i) => Math.max(most, Math.abs(value - (x[i] ?? value))), 0);
      const ratio = (loss - reached) / promised;
      course.push({ round, loss: reached, promised, ratio, radius });
      if (Number.isNaN(ratio)) note(`A step is made shorter: the trial at its end is of no use (${reasonOf(trial)})`);
      // Written so that NaN, a trial that failed, counts as a bad step.
      if (!(ratio >= 0.25)) radius = Math.min(radius, far) / 2;
      else if (ratio > 0.75 && far > 0.99 * radius) radius = Math.min(2 * radius, widest);
      if (trial === undefined || !(ratio > 0.1)) continue;
      [x, loss, center, accepted] = [place, reached, trial, true];
    }
    if (accepted) continue;
    note(
      `No step from round ${round} on made the loss smaller, down to ${radius.toPrecision(2)} along each coefficient`,
    );
    break;
  }
  return { x, loss, course };

  /** The tangent's loss and the regulariser, which needs no approximation. */
  function surrogateAt(at: Float64Array, middle: Outcome, probed: readonly Probed[]): Cheap {
    const tangent = tangentOf(descent.goal.loss, tangentTasks(descent, at.length, middle, probed), at);
    const { curvature } = tangent;
    return {
      value: (y) => tangent.value(y) + regulariser.value(y),
      gradient(y) {
        const sum = tangent.gradient(y);
        addScaled(sum, 1, regulariser.gradient(y));
        return sum;
      },
      curvature:
        curvature &&
        ((y) => {
          const sum = curvature(y);
          for (const [i, bend] of regulariser.curvature(y).entries()) {
            sum.data[i * sum.columns + i] = (sum.data[i * sum.columns + i] ?? 0) + bend;
          }
          return sum;
        }),
    };
  }
}

function tangentTasks(
  { goal }: AnswerDescent,
  dimensions: number,
  center: Outcome,
  probed: readonly Probed[],
): readonly TangentTask[] {
  return goal.tasks(center).map(({ task, weight, answers }) => {
    const flat = new Float32Array(answers.values.length);
    const columns = new Array<Float32Array>(dimensions).fill(flat);
    for (const { dimension, weights, outcomes } of probed) {
      const [first, second] = outcomes.map((outcome) => outcome?.answers?.get(task)?.values);
      columns[dimension] = columnOf(weights, answers.values, first, second);
    }
    return { weight, answers, columns };
  });
}

function assertRoom({ goal }: AnswerDescent, center: Outcome, coefficients: number): void {
  const numbers = goal.tasks(center).reduce((sum, { answers }) => sum + answers.values.length, 0);
  const bytes = 4 * numbers * coefficients;
  if (bytes <= maxJacobianBytes) return;
  const size = `${formatBytes(bytes)} for ${coefficients} coefficients, the limit is ${formatBytes(maxJacobianBytes)}`;
  const advice = 'set "limit" under "tasks", take fewer groups of layers, or "optimizer: spsa"';
  throw new AmalgamError("recipe_invalid", `Cannot hold the slopes of all answers, ${size}: ${advice}`);
}
