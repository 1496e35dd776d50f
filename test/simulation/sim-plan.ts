import { crc32 } from "node:zlib";
import type { PieceResult } from "../../coordinator/assemble/pieces.js";
import { assemblePlan } from "../../coordinator/plan/assemble-plan.js";
import type { MergedTensor } from "../../coordinator/plan/merged-tensor.js";
import type { ElementRange } from "../../coordinator/plan/ranges.js";
import type { Plan } from "../../coordinator/plan/types.js";
import type { Program } from "../../shared/expression/program.js";
import { blockElements } from "../../shared/expression/statistics.js";

/** Everything that a job of the simulation is about. */
export interface SimJob {
  readonly plan: Plan;
  /** What each block of the output must hold: its bytes, in a number. By tensor, then by block. */
  readonly golden: readonly number[];
  /** Where a tensor's blocks begin among all. */
  readonly firstBlock: readonly number[];
}

const program: Program = {
  nodes: [{ op: "input", args: [], value: 0 }],
  output: 0,
  inputs: 1,
  parameters: [],
};

/** A plan of small tensors, each of some blocks: the grains that units are cut at. */
export function makeSimJob(tensors: number, random: () => number): SimJob {
  const blocks = Array.from({ length: tensors }, () => 1 + Math.floor(random() * 6));
  const merged = blocks.map((count, i): MergedTensor => {
    const shape = [count, blockElements];
    const input = { model: 0, source: 0, offset: 0, dtype: "F32" as const, bytes: count * blockElements * 4 };
    const fixed = { program, parameters: [], randomStreams: undefined };
    return { name: `tensor-${i}`, dtype: "F32", shape, inputs: [input], ...fixed };
  });
  const companions = { configFrom: 0, configEdits: [], tokenizerFrom: 0, files: new Map(), withheld: [] };
  const source = { model: 0, name: "model.safetensors", path: "/m", bytes: 1, headerSha256: "", modifiedMs: 0 };
  const plan = assemblePlan(
    { method: "copy", seed: 0, models: [], sources: [source], companions, warnings: [], tensors: merged },
    { shardBytes: 4_000_000 },
  );
  const firstBlock: number[] = [];
  const golden: number[] = [];
  for (const { name, elements } of plan.tensors) {
    firstBlock.push(golden.length);
    for (let block = 0; block * blockElements < elements; block += 1) golden.push(crc32(`${name} ${block}`) || 1);
  }
  return { plan, golden, firstBlock };
}

/** The blocks of a piece, as places among all blocks. */
export function blocksOf({ firstBlock }: SimJob, tensor: number, { begin, end }: ElementRange): number[] {
  const first = firstBlock[tensor] ?? 0;
  const blocks: number[] = [];
  for (let at = begin; at < end; at += blockElements) blocks.push(first + at / blockElements);
  return blocks;
}

/** The CRC-32 of what stands in a piece's blocks. */
export function crcOf(job: SimJob, tensor: number, range: ElementRange, content: readonly number[]): number {
  return crc32(
    blocksOf(job, tensor, range)
      .map((block) => content[block] ?? 0)
      .join(" "),
  );
}

/** The receipt of an agent that did everything right. */
export function receiptOf(job: SimJob, piece: { readonly tensor: number } & ElementRange): PieceResult {
  const { tensor, begin, end } = piece;
  const numbers = { nonFinite: 0, overflowed: 0, largest: 1, inputsNonFinite: [0] };
  return { tensor, begin, end, bytes: (end - begin) * 4, crc32: crcOf(job, tensor, piece, job.golden), ...numbers };
}
