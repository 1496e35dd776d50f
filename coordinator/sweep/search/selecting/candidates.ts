import { fromUnit, type Point, startPoint } from "../../space.js";
import { Proposed } from "../finite.js";
import { SobolSequence } from "../sampling/sobol-sequence.js";
import type { OptionSpec, OptionValues, SearchContext } from "../searching.js";

/** Where candidates come from. */
export const proposalsOption = { kind: "choice", default: "sobol", values: ["sobol", "random"] } satisfies OptionSpec;

/**
 * Different points: the author's start first, so that what is found is no worse than what needs no search; then evenly
 * spread or random ones. Undefined: the space has no more.
 */
export function candidates(
  { space, random }: Pick<SearchContext, "space" | "random">,
  options: OptionValues,
): () => Point | undefined {
  const numbers = random("candidates");
  const sequence = new SobolSequence(space.length, numbers);
  const unit =
    options["proposals"] === "random" ? () => space.map(() => numbers.uniform()) : (): number[] => sequence.next();
  const proposed = new Proposed(space);
  let isFirst = true;
  return () =>
    proposed.fresh(() => {
      const point = isFirst ? startPoint(space) : fromUnit(space, unit());
      isFirst = false;
      return point;
    });
}

/** At most so many. */
export function takeCandidates(context: SearchContext, options: OptionValues, count: number): readonly Point[] {
  const next = candidates(context, options);
  const points: Point[] = [];
  while (points.length < count) {
    const point = next();
    if (point === undefined) {
      context.note(`There are only ${points.length} different points, so these are all the candidates`);
      break;
    }
    points.push(point);
  }
  return points;
}
