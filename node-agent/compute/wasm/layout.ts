import type { NodeId } from "../../../shared/expression/program.js";

/**
 * How a kernel and its caller share a control block: which of its bytes holds what. Written by the
 * caller before a run: pointers, scalars, integers, keys. Written by the kernel: results, as raw SIMD accumulators.
 */
export interface ControlLayout {
  /** u32, one per input: where its tile is. */
  readonly inputs: number;
  /** u32, one per node of {@link preparedNodes}: where its values for the coming elements are, in f32. */
  readonly prepared: number;
  readonly preparedNodes: readonly NodeId[];
  /** u32, one per node of {@link maskNodes}: where its bits for the coming elements are, or go. */
  readonly masks: number;
  readonly maskNodes: readonly NodeId[];
  /** u32: where the output tile goes. */
  readonly output: number;
  /** u32, one per reduction: where its bins are if it counts, or its accumulators if it sums columns. */
  readonly histograms: number;
  /** f32, one per node of {@link scalarNodes}. */
  readonly scalars: number;
  readonly scalarNodes: readonly NodeId[];
  /** i32, one per gather: the bin that a gather of lower bits counts in, shifted to the upper half. */
  readonly bins: number;
  /** Two u32 per random stream of {@link streams}. */
  readonly keys: number;
  readonly streams: readonly number[];
  /** 32 bytes per accumulator. */
  readonly results: number;
  readonly bytes: number;
}

export const resultBytes = 32;

/** Bins behind a counting gather's own, for lanes that do not count; a power of two. */
export const spareBins = 256;

/** Lays out a control block. Everything is 4-byte aligned; results are 8-byte aligned, since they hold f64. */
export function layOut(parts: {
  inputs: number;
  gathers: number;
  preparedNodes: readonly NodeId[];
  maskNodes: readonly NodeId[];
  scalarNodes: readonly NodeId[];
  streams: readonly number[];
  results: number;
}): ControlLayout {
  let at = 0;
  const take = (words: number): number => {
    const begin = at;
    at += 4 * words;
    return begin;
  };
  const inputs = take(parts.inputs);
  const output = take(1);
  const prepared = take(parts.preparedNodes.length);
  const masks = take(parts.maskNodes.length);
  const histograms = take(parts.gathers);
  const scalars = take(parts.scalarNodes.length);
  const bins = take(parts.gathers);
  const keys = take(2 * parts.streams.length);
  at = Math.ceil(at / 16) * 16;
  const results = take((parts.results * resultBytes) / 4);
  return {
    inputs,
    output,
    prepared,
    preparedNodes: parts.preparedNodes,
    masks,
    maskNodes: parts.maskNodes,
    histograms,
    scalars,
    scalarNodes: parts.scalarNodes,
    bins,
    keys,
    streams: parts.streams,
    results,
    bytes: at,
  };
}
