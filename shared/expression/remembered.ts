import { isPrepared, schedule, targetsOf } from "./passes.js";
import { extentsOf, isMask, isReduction, type NodeId, nodeAt, type Program, reachable } from "./program.js";

/**
 * The masks that a program's first statistics pass draws and later passes need again: a bit each to keep, and a random
 * number, perhaps a sorted row, to make anew. Random drops that are rescaled have them (DARE, DELLA).
 */
export function rememberedMasks(program: Program): readonly NodeId[] {
  const { statistics, columnwise } = schedule(program);
  const [first] = statistics;
  // A reduction over a row may need the mask too, and is a kernel of its own.
  const ofRows = reachable(program, [program.output]).some((id) => {
    const { op, scope } = nodeAt(program, id);
    return isReduction(op) && scope === "row";
  });
  if (first === undefined || columnwise || ofRows) return [];
  const extents = extentsOf(program.nodes);
  const isReady = isPrepared(program);
  // Ranks are made before the kernel runs.
  const isLeaf = (id: NodeId): boolean => extents[id] === "scalar" || isReady(id);
  return reachable(program, targetsOf(program, first), isLeaf).filter((id) => {
    const { op, args } = nodeAt(program, id);
    return isMask(op) && args.some((arg) => nodeAt(program, arg).op === "uniform");
  });
}
