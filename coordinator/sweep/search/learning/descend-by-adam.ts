import { evaluate, type Searching } from "../searching.js";
import { Adam } from "./adam.js";
import { intoBox } from "./box.js";
import { type Descended, type Descent, reasonOf, totalLoss } from "./descent.js";
import { probesAt } from "./finite-differences.js";
import { gradientOfLosses, pairUp, probeRequests } from "./probing.js";

export interface AdamSettings {
  readonly rounds: number;
  /** How far from the centre the trials for slopes are. */
  readonly epsilon: number;
  /** About how far a coefficient moves in a round. */
  readonly rate: number;
}

/** Times that a step is halved because the trial at its end failed. */
const maxHalvings = 5;

/**
 * Many rounds of slopes and a small step each, put back into the box. A round costs 1 trial and 2 for each coefficient, all
 * at once; the last one is just looked at.
 */
export function* descendByAdam(descent: Descent, start: Float64Array, settings: AdamSettings): Searching<Descended> {
  const { box, note, regulariser } = descent;
  const adam = new Adam(start.length, settings.rate);
  const course: Descended["course"][number][] = [];
  let x = intoBox(box, start);
  let last = x;
  let best = { x, loss: Number.NaN };
  let halvings = 0;
  for (let round = 0; round <= settings.rounds; round += 1) {
    const probes = round === settings.rounds ? [] : probesAt(box, x, settings.epsilon);
    const [center, ...beside] = yield* evaluate([
      descent.request(x, `round ${round}`),
      ...probeRequests(descent, x, probes, `round ${round}`),
    ]);
    const loss = totalLoss(descent, x, center);
    course.push({ round, loss });
    if (center === undefined || !Number.isFinite(loss)) {
      halvings += 1;
      if (Number.isNaN(best.loss) || halvings > maxHalvings) {
        note(`Nothing more can be learnt: the trial of round ${round} is of no use (${reasonOf(center)})`);
        break;
      }
      note(`The step to round ${round} is halved: the trial at its end is of no use (${reasonOf(center)})`);
      const from = last;
      x = x.map((value, i) => (value + (from[i] ?? value)) / 2);
      continue;
    }
    if (!(best.loss <= loss)) best = { x, loss };
    halvings = 0;
    const gradient = gradientOfLosses(descent, descent.loss(center), pairUp(descent, probes, beside));
    const charge = regulariser.gradient(x);
    const step = adam.step(gradient.map((slope, i) => slope + (charge[i] ?? 0)));
    last = x;
    x = intoBox(
      box,
      x.map((value, i) => value + (step[i] ?? 0)),
    );
  }
  return { ...best, course };
}
