import { addScaled, scale } from "../../../../shared/linalg/matrix.js";
import type { Random } from "../random.js";
import { evaluate, type Searching } from "../searching.js";
import { type Box, intoBox } from "./box.js";
import { type Descended, type Descent, reasonOf, totalLoss } from "./descent.js";

export interface SpsaSettings {
  readonly rounds: number;
  /** c: how far from the centre the trials are at first, along each coefficient. */
  readonly epsilon: number;
  /** About how far a coefficient moves in the first round; it decides a. */
  readonly step: number;
  /** Directions in a round, whose slopes are averaged. */
  readonly draws: number;
}

/** How much longer than the first a later step may be. */
const maxStep = 3;

/** Gains of Spall 1998, with A = a tenth of the rounds. The first round is 0. */
export function gainsOf(
  round: number,
  rounds: number,
  first: { readonly a: number; readonly c: number },
): { readonly a: number; readonly c: number } {
  return { a: first.a / (round + 1 + rounds / 10) ** 0.602, c: first.c / (round + 1) ** 0.101 };
}

/**
 * Slopes along random directions in which every coefficient moves at once (Spall 1992): two trials a direction, however
 * many coefficients there are. What is left at the end is looked at once more.
 */
export function* descendBySpsa(
  descent: Descent,
  start: Float64Array,
  settings: SpsaSettings,
  random: Random,
): Searching<Descended> {
  const { box, note, regulariser } = descent;
  const course: Descended["course"][number][] = [];
  let x = intoBox(box, start);
  let a: number | undefined;
  for (let round = 0; round < settings.rounds; round += 1) {
    const { c } = gainsOf(round, settings.rounds, { a: 0, c: settings.epsilon });
    const pairs = Array.from({ length: settings.draws }, () => pairAround(box, x, c, random));
    const outcomes = yield* evaluate(
      pairs.flatMap(({ plus, minus }) => [plus, minus].map((place) => descent.request(place, `round ${round + 1}`))),
    );
    const slopes = pairs.flatMap((pair, i) => {
      const [above, below] = [outcomes[2 * i], outcomes[2 * i + 1]];
      const rise = totalLoss(descent, pair.plus, above) - totalLoss(descent, pair.minus, below);
      if (Number.isFinite(rise)) return [slopeOf(pair, rise)];
      const reason = reasonOf(above?.failure === undefined ? below : above);
      note(`A direction of round ${round + 1} is left out: a trial is of no use (${reason})`);
      return [];
    });
    if (slopes.length === 0) continue;
    const mean = new Float64Array(x.length);
    for (const slope of slopes) addScaled(mean, 1 / slopes.length, slope);
    const size = mean.reduce((sum, slope) => sum + Math.abs(slope), 0) / mean.length;
    course.push({ round: round + 1, slope: size });
    if (size === 0) continue;
    a ??= (settings.step / size) * (round + 1 + settings.rounds / 10) ** 0.602;
    const gain = gainsOf(round, settings.rounds, { a, c: 0 }).a;
    // A flat place to begin with would make later steps jump.
    scale(mean, -Math.min(gain, (maxStep * settings.step) / size));
    x = intoBox(
      box,
      x.map((value, i) => value + (mean[i] ?? 0)),
    );
  }
  const [last] = yield* evaluate([descent.request(x, "end")]);
  const loss = last === undefined ? Number.NaN : descent.loss(last) + regulariser.value(x);
  course.push({ round: settings.rounds, loss });
  return { x, loss, course };
}

interface Pair {
  readonly plus: Float64Array;
  readonly minus: Float64Array;
}

/** Both inside: the middle is drawn away from the walls first (Sadegh 1997). */
function pairAround({ low, high }: Box, x: Float64Array, c: number, random: Random): Pair {
  const signs = Array.from(x, () => random.sign());
  const reach = x.map((_, i) => Math.min(c, ((high[i] ?? 0) - (low[i] ?? 0)) / 2));
  const middle = x.map((value, i) => {
    const margin = reach[i] ?? 0;
    return Math.min((high[i] ?? value) - margin, Math.max((low[i] ?? value) + margin, value));
  });
  const box = { low, high };
  const moved = (way: 1 | -1): Float64Array =>
    intoBox(
      box,
      middle.map((value, i) => value + way * (signs[i] ?? 1) * (reach[i] ?? 0)),
    );
  return { plus: moved(1), minus: moved(-1) };
}

function slopeOf({ plus, minus }: Pair, rise: number): Float64Array {
  return plus.map((value, i) => {
    const width = value - (minus[i] ?? value);
    return width === 0 ? 0 : rise / width;
  });
}
