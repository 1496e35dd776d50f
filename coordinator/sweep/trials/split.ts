import { AmalgamError } from "../../../shared/errors.js";
import { formatQuantity } from "../../plan/report.js";
import type { SegmentPart, SweepTasks } from "../types.js";

/** Rungs of a search that uses them where its author gives none: thirds of thirds, as Hyperband's η = 3 has them. */
export const defaultRungs: readonly number[] = [1 / 9, 1 / 3];

/** Which examples, by number, a part of a task has; ascending. */
export interface TaskPart {
  readonly part: SegmentPart;
  readonly examples: readonly number[];
}

/** How the examples of a task are divided. */
export interface SplitOptions {
  /** Share that is held out; undefined: none. */
  readonly holdOut: number | undefined;
  /** See {@link SweepTasks.rungs}. */
  readonly rungs: SweepTasks["rungs"];
}

/**
 * Divides the examples of a task, given in the order in which they are taken: the last ones are held out, the others
 * belong to the first rung, to what the second adds, and so on. Fails with `usage` where a part would have none. `place`:
 * the task with its place, for messages.
 */
export function splitExamples(
  order: readonly number[],
  { holdOut, rungs }: SplitOptions,
  place: string,
): readonly TaskPart[] {
  const held = holdOut === undefined ? 0 : Math.max(1, Math.round(holdOut * order.length));
  const searched = order.length - held;
  const explain = (problem: string): AmalgamError => {
    const out = held === 0 ? "" : `, ${held} of them held out`;
    const message = `${place} has ${formatQuantity(order.length, "example")}${out}: ${problem}`;
    return new AmalgamError("usage", message);
  };
  if (searched < rungs.length + 1) {
    const needed = rungs.length === 0 ? "none is left to search on" : `too few for ${rungs.length + 1} rungs`;
    throw explain(`${needed}; give it more, or hold out fewer`);
  }
  const ends: number[] = [];
  for (const [i, rung] of rungs.entries()) {
    const below = ends.at(-1) ?? 0;
    if (rung >= 1 && rung >= searched) throw explain(`a rung of ${rung} leaves none for those above it`);
    const wanted = rung < 1 ? Math.round(rung * searched) : rung;
    // Each rung adds one at least, and leaves one for each above it.
    ends.push(Math.min(Math.max(wanted, below + 1), searched - (rungs.length - i)));
  }
  ends.push(searched);
  const ascending = (examples: readonly number[]): readonly number[] => examples.toSorted((a, b) => a - b);
  const parts: TaskPart[] = ends.map((end, rung) => {
    return { part: rung, examples: ascending(order.slice(ends[rung - 1] ?? 0, end)) };
  });
  if (held > 0) parts.push({ part: "held out", examples: ascending(order.slice(searched)) });
  return parts;
}
