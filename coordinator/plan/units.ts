import { type Dtype, dtypeBits } from "../../shared/checkpoint/dtypes.js";
import { blockElements } from "../../shared/expression/statistics.js";
import { inputDtype } from "./inputs.js";
import { statisticsOf } from "./plan.js";
import { type ElementRange, missingRanges } from "./ranges.js";
import type { Plan, PlannedTensor, Unit, UnitPiece } from "./types.js";

export interface CutOptions {
  /** Output bytes that a unit should have. */
  readonly unitBytes: number;
  /** Ranges that are already in place, by tensor. */
  readonly done?: ReadonlyMap<number, readonly ElementRange[]>;
  /** Only these tensors. @default all */
  readonly tensors?: ReadonlySet<number>;
  /** The units only gather statistics, one pass at a time, so no tensor needs to stay whole. @default false */
  readonly forGathering?: boolean;
}

/** Row segments and terms that a unit describes, about: some 11 bytes each of a message of at most 16 MiB. */
const maxSegments = 400_000;

/** A tensor whose statistics an agent can gather by itself stays whole up to this many times the unit size. */
const wholeTensorSlack = 2;

/** A coordinator takes about a millisecond for a unit, and a thousand agents must not wait for it. */
const mostUnits = 20_000;

/**
 * Output bytes per unit for a job: the design's 256 MB to 1 GB on big jobs; on small ones, enough units that every slot
 * gets several, so that none is left waiting for the last.
 */
export function chooseUnitBytes(plan: Plan, slots: number): number {
  const total = plan.tensors.reduce((bytes, tensor) => bytes + tensor.bytes, 0);
  const perSlot = Math.ceil(total / Math.max(1, slots * 8));
  return Math.min(512_000_000, Math.max(4_000_000, perSlot, Math.ceil(total / mostUnits)));
}

/**
 * Cuts what is left to do into units of about `unitBytes` of output, in output order so that a unit stays in one file
 * where it can. Tensors are cut only between blocks (or rows, where a program has row reductions), so no cut changes a
 * bit of the result. Unit ids are their places in the list.
 */
export function cutUnits(plan: Plan, options: CutOptions): readonly Unit[] {
  const { unitBytes, done, tensors, forGathering = false } = options;
  const statistics = statisticsOf(plan);
  const units: Unit[] = [];
  let pieces: UnitPiece[] = [];
  let filled = 0;
  let read = 0;
  let segments = 0;
  const close = (): void => {
    if (pieces.length > 0) units.push({ id: units.length, pieces, bytesRead: read, bytesWritten: filled });
    pieces = [];
    filled = 0;
    read = 0;
    segments = 0;
  };

  plan.tensors.forEach((tensor, index) => {
    if (tensors?.has(index) === false) return;
    const needs = statistics[tensor.program] ?? { passes: 0, modelwide: false, rowwise: false, columnwise: false };
    const isSmall = tensor.bytes <= wholeTensorSlack * unitBytes;
    const described = segmentsOf(tensor);
    const gathersAlone = !forGathering && needs.passes > 0 && !needs.modelwide;
    const staysWhole = needs.columnwise || (gathersAlone && isSmall && described <= maxSegments);
    const describable = described === 0 ? tensor.elements : Math.floor((tensor.elements / described) * maxSegments);
    const grain = needs.rowwise ? Math.max(1, tensor.shape.at(-1) ?? 1) : blockElements;
    for (const range of missingRanges(done?.get(index) ?? [], { begin: 0, end: tensor.elements })) {
      let begin = range.begin;
      while (begin < range.end) {
        const room = Math.floor(((unitBytes - filled) * 8) / dtypeBits(tensor.dtype));
        const fits = Math.max(grain, Math.floor(Math.min(room, describable) / grain) * grain);
        const end = staysWhole ? range.end : Math.min(range.end, begin + fits);
        const passes = 1 + needs.passes;
        pieces.push({ tensor: index, begin, end });
        filled += bytesOf(tensor.dtype, end - begin);
        for (const input of tensor.inputs) read += bytesOf(inputDtype(input), end - begin) * passes;
        segments += described * ((end - begin) / tensor.elements);
        if (filled >= unitBytes || segments >= maxSegments) close();
        begin = end;
      }
    }
  });
  close();
  return units;
}

/** How much there is to say of where a tensor's rows come from; see {@link RowMap}. */
function segmentsOf({ inputs }: PlannedTensor): number {
  let count = 0;
  for (const { rows } of inputs) {
    for (const segment of rows?.segments ?? []) count += segment.kind === "combination" ? 1 + segment.terms.length : 1;
  }
  return count;
}

/** Exact, unlike a share of the tensor's bytes: a unit that missed its size by a rounding error would take in another. */
function bytesOf(dtype: Dtype, elements: number): number {
  return (elements * dtypeBits(dtype)) / 8;
}

/**
 * The tensors among these units whose statistics no agent can gather alone: those of a program that looks at the whole
 * model, and those that are not in one piece.
 */
export function tensorsToGather(plan: Plan, units: readonly Unit[]): ReadonlySet<number> {
  const statistics = statisticsOf(plan);
  const gather = new Set<number>();
  for (const { pieces } of units) {
    for (const { tensor, begin, end } of pieces) {
      const planned = plan.tensors[tensor];
      const needs = planned === undefined ? undefined : statistics[planned.program];
      if (planned === undefined || needs === undefined || needs.passes === 0) continue;
      const isWhole = begin === 0 && end === planned.elements;
      if (needs.modelwide || !isWhole) gather.add(tensor);
    }
  }
  if (gather.size === 0) return gather;
  // A whole-model reduction needs the tensors that are already written too.
  plan.tensors.forEach(({ program }, index) => {
    if (statistics[program]?.modelwide) gather.add(index);
  });
  return gather;
}
