import { dtypeBits } from "../../../shared/checkpoint/dtypes.js";
import { blockElements } from "../../../shared/expression/statistics.js";
import { rowOf } from "../../dispatch/request.js";
import { statisticsOf } from "../../plan/plan.js";
import type { Plan, UnitPiece } from "../../plan/types.js";

/** Output bytes of a piece: enough of them for all threads of an agent to share a large tensor. */
export const pieceBytes = 64 << 20;

/**
 * All of a plan's output in pieces, in its order, cut as {@link cutUnits} cuts: between blocks or rows. A tensor whose
 * statistics are not known stays whole, since the agent that merges it gathers them; `isKnown` is asked by tensor.
 */
export function cutPieces(plan: Plan, isKnown: (tensor: number) => boolean, bytes = pieceBytes): readonly UnitPiece[] {
  const needs = statisticsOf(plan);
  return plan.tensors.flatMap(({ program, elements, dtype, shape }, tensor): UnitPiece[] => {
    const { passes = 0, rowwise = false, columnwise = false } = needs[program] ?? {};
    if (columnwise || (passes > 0 && !isKnown(tensor)))
      return elements === 0 ? [] : [{ tensor, begin: 0, end: elements }];
    const grain = rowwise ? rowOf(shape) : blockElements;
    const step = Math.max(grain, Math.floor((bytes * 8) / dtypeBits(dtype) / grain) * grain);
    const count = Math.ceil(elements / step);
    return Array.from({ length: count }, (_, i) => {
      return { tensor, begin: i * step, end: Math.min(elements, (i + 1) * step) };
    });
  });
}
