import { schedule } from "./passes.js";
import { extentsOf, isMask, isReduction, type NodeId, nodeAt, type Program, reachable } from "./program.js";

/**
 * The masks of a program that are drawn by themselves, before the kernel that needs them runs, and kept as bits for the
 * passes that need them again: a bit each to keep, and a random number, perhaps a sorted row, to make anew. Random drops
 * have them (DARE, DELLA). None of them is needed by a rank or by another of them: the kernels that those come from read
 * no bits.
 */
export function rememberedMasks(program: Program): readonly NodeId[] {
  const needed = reachable(program, [program.output]);
  // A reduction over a row may need the mask too, and is a kernel of its own.
  const ofRows = needed.some((id) => {
    const { op, scope } = nodeAt(program, id);
    return isReduction(op) && scope === "row";
  });
  if (ofRows || schedule(program).columnwise) return [];
  const drawn = needed.filter((id) => {
    const { op, args } = nodeAt(program, id);
    return isMask(op) && args.some((arg) => nodeAt(program, arg).op === "uniform");
  });
  const extents = extentsOf(program.nodes);
  const apart = [...drawn, ...needed.filter((id) => nodeAt(program, id).op === "rankInRow")];
  const within = new Set(
    reachable(
      program,
      apart.flatMap((id) => nodeAt(program, id).args),
      (id) => extents[id] === "scalar",
    ),
  );
  return drawn.filter((id) => !within.has(id));
}
