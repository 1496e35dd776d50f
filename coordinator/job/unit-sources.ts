import type { Plan, PlannedInput, StoredTensor, Unit } from "../plan/types.js";

/** The source files that a unit reads, by place in Plan.sources, and about how many bytes of each in one pass. */
export function unitSources(plan: Plan, unit: Unit): ReadonlyMap<number, number> {
  const bytes = new Map<number, number>();
  const add = (stored: StoredTensor, share: number): void => {
    bytes.set(stored.source, (bytes.get(stored.source) ?? 0) + stored.bytes * share);
    // Factors are small and read whole, whatever the piece.
    for (const { a, b } of stored.updates ?? []) [a, b].forEach((factor) => void add(factor, 1));
  };
  for (const { tensor, begin, end } of unit.pieces) {
    const planned = plan.tensors[tensor];
    if (planned === undefined) continue;
    const share = planned.elements === 0 ? 0 : (end - begin) / planned.elements;
    for (const input of planned.inputs) for (const stored of storedIn(input)) add(stored, share);
  }
  return bytes;
}

function storedIn(input: PlannedInput): readonly StoredTensor[] {
  return input.rows === undefined ? [input] : input.rows.tensors;
}
