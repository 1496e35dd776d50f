import type { Checkpoint, CheckpointTensor } from "../checkpoint/open.js";
import { formatCount, quote } from "../quote.js";
import { dataTypeName, isEightBit, type Reading, readingOf } from "./element-types.js";
import { findScale, type Scale } from "./fp8-scales.js";
import type { Problem } from "./weight-mismatch.js";

/** A tensor that a weight, or a piece of one, is made of. */
export interface WeightPiece {
  readonly tensor: string;
  /** The graph wants the tensor's transpose. Matrices only. */
  readonly transposed: boolean;
  /** The dimension along which the pieces of a weight follow one another. @default 0 */
  readonly axis?: number;
}

/** What a graph wants under a name. */
export interface WantedWeight {
  readonly name: string;
  readonly shape: readonly number[];
  /** ONNX's number for the element type. */
  readonly dataType: number;
  /** Of the graph: what its operators can take. */
  readonly opset: number;
}

/** A tensor of the checkpoint and what is done to it. */
export interface PlannedPiece {
  readonly tensor: CheckpointTensor;
  readonly reading: Reading;
  readonly scale: Scale | undefined;
  readonly transposed: boolean;
}

/** How a weight comes from a checkpoint. */
export interface PlannedWeight {
  readonly name: string;
  readonly dataType: number;
  readonly pieces: readonly [PlannedPiece, ...PlannedPiece[]];
  readonly axis: number;
}

/** Finds out how a weight comes from a checkpoint, or why it cannot. Nothing is read. */
export function planWeight(
  checkpoint: Checkpoint,
  wanted: WantedWeight,
  pieces: readonly WeightPiece[],
): PlannedWeight | Problem {
  const { name, dataType } = wanted;
  const planned: PlannedPiece[] = [];
  for (const piece of pieces) {
    const plan = planPiece(checkpoint, wanted, piece);
    if (isProblem(plan)) return plan;
    planned.push(plan);
  }
  const axis = pieces[0]?.axis ?? 0;
  const [first, ...rest] = planned;
  if (first === undefined) throw new RangeError(`Weight ${quote(name)} has no pieces`);
  const shape = joinedShape(planned.map(shapeOf), axis);
  if (shape?.join() !== wanted.shape.join()) {
    const found = shape === undefined ? "pieces that do not fit together" : `[${shape.join(", ")}]`;
    return { name, problem: `the graph wants shape [${wanted.shape.join(", ")}], the checkpoint has ${found}` };
  }
  return { name, dataType, pieces: [first, ...rest], axis };
}

export function isProblem(plan: object): plan is Problem {
  return "problem" in plan;
}

function planPiece(checkpoint: Checkpoint, wanted: WantedWeight, piece: WeightPiece): PlannedPiece | Problem {
  const { name, dataType, opset } = wanted;
  const tensor = checkpoint.tensors.get(piece.tensor);
  if (tensor === undefined) {
    const which = piece.tensor === name ? "of this name" : quote(piece.tensor);
    return { name, problem: `the checkpoint has no tensor ${which}`, missing: piece.tensor };
  }
  if (piece.transposed && tensor.shape.length !== 2) {
    const problem = `it wants the transpose of ${quote(tensor.name)}, which has ${tensor.shape.length} dimensions`;
    return { name, problem };
  }
  const reading = readingOf(tensor.dtype, dataType);
  if (typeof reading === "string") {
    return {
      name,
      problem: `the graph wants ${dataTypeName(dataType)}, the checkpoint has ${tensor.dtype}, ${reading}`,
    };
  }
  if (reading.needsCast && opset < reading.castOpset) {
    const needed = `to read ${tensor.dtype} a graph must be of opset ${reading.castOpset} or newer`;
    return { name, problem: `${needed}, and this one is of ${formatCount(opset)}` };
  }
  const scale = reading.needsCast && isEightBit(tensor.dtype) ? findScale(checkpoint, tensor) : undefined;
  if (typeof scale === "string") return { name, problem: scale };
  return { tensor, reading, scale, transposed: piece.transposed };
}

function shapeOf({ tensor, transposed }: PlannedPiece): readonly number[] {
  return transposed ? tensor.shape.toReversed() : tensor.shape;
}

/** The shape of tensors put one after the other along `axis`; undefined if another dimension differs. */
function joinedShape(shapes: readonly (readonly number[])[], axis: number): readonly number[] | undefined {
  const [first = [], ...rest] = shapes;
  if (rest.length > 0 && axis >= first.length) return undefined;
  if (rest.some((shape) => shape.length !== first.length)) return undefined;
  if (rest.some((shape) => shape.some((size, i) => i !== axis && size !== first[i]))) return undefined;
  const length = shapes.reduce((sum, shape) => sum + (shape[axis] ?? 0), 0);
  return rest.length === 0 ? first : first.with(axis, length);
}
