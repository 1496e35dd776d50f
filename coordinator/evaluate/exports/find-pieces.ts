import type { WeightPiece } from "../../../shared/onnx/weight-plan.js";
import { type Block, equalBlocks, wholeBlock } from "./equal-blocks.js";
import type { Found } from "./find-tensor.js";
import { isReadable, isUniform, type Numbers } from "./numbers.js";
import type { TensorIndex } from "./tensor-index.js";

/** What was found so far. */
export interface KnownPieces {
  /** Tensors that an initializer is, or is partly, made of. */
  readonly used: ReadonlySet<string>;
  /** The pieces of initializers that have several. */
  readonly packed: readonly (readonly WeightPiece[])[];
}

/**
 * The tensors that an initializer is made of, one after the other along one axis, as fused attention packs the weights of
 * queries, keys and values. Matrices, whose pieces may be transposed, and vectors. Where several tensors fit, as zero
 * biases do, their order is that of weights that are `known`. Undefined unless all of it was found.
 */
export async function findPieces(
  initializer: Numbers,
  tensors: TensorIndex,
  known: KnownPieces,
): Promise<Found | undefined> {
  const rank = initializer.shape.length;
  if (rank !== 1 && rank !== 2) return undefined;
  const byColumns = await piecesAlong("columns", initializer, tensors, known);
  // A vector is one row, so its columns are its only axis.
  if (byColumns !== undefined) return withAxis(byColumns, rank - 1);
  const byRows = rank === 2 ? await piecesAlong("rows", initializer, tensors, known) : undefined;
  return byRows && withAxis(byRows, 0);
}

function withAxis({ pieces, ties }: Found, axis: number): Found {
  return { pieces: pieces.map((piece) => ({ ...piece, axis })), ties };
}

async function piecesAlong(
  axis: "rows" | "columns",
  initializer: Numbers,
  tensors: TensorIndex,
  known: KnownPieces,
): Promise<Found | undefined> {
  const whole = wholeBlock(initializer);
  const length = whole[axis];
  const pieces: WeightPiece[] = [];
  const ties: string[] = [];
  // Any constant of zeros could be put together of biases that never moved, again and again.
  const choosing = { ...known, isReused: !(await isUniform(initializer)) };
  let at = 0;
  while (at < length) {
    const fitting = await matchesAtStart(restOf(whole, axis, at), axis, tensors);
    const next = choose(fitting, pieces, choosing);
    if (next === undefined) return undefined;
    pieces.push({ tensor: next.tensor, transposed: next.transposed });
    ties.push(...fitting.filter((other) => other.tensor !== next.tensor).map(({ tensor }) => tensor));
    at += next.length;
  }
  return { pieces, ties: [...new Set(ties)] };
}

/** Among equals: what continues the order of modules of another weight, then what nothing is made of yet. */
function choose(
  fitting: readonly Match[],
  before: readonly WeightPiece[],
  { used, packed, isReused }: KnownPieces & { readonly isReused: boolean },
): Match | undefined {
  const taken = new Set(before.map(({ tensor }) => tensor));
  const free = fitting.filter(({ tensor }) => !taken.has(tensor));
  const unused = free.filter(({ tensor }) => !used.has(tensor));
  const modules = before.map(({ tensor }) => moduleOf(tensor));
  const orders = packed.map((pieces) => pieces.map(({ tensor }) => moduleOf(tensor)));
  const following = orders.filter((order) => modules.every((module, i) => module === order[i]));
  const next = new Set(following.map((order) => order[modules.length]));
  return unused.find(({ tensor }) => next.has(moduleOf(tensor))) ?? unused[0] ?? (isReused ? free[0] : undefined);
}

/** "layer.0.query.bias" → "layer.0.query". */
function moduleOf(tensor: string): string {
  return tensor.slice(0, Math.max(0, tensor.lastIndexOf(".")));
}

function restOf(whole: Block, axis: "rows" | "columns", at: number): Block {
  if (axis === "rows") return { ...whole, row: at, rows: whole.rows - at };
  return { ...whole, column: at, columns: whole.columns - at };
}

interface Match extends WeightPiece {
  readonly length: number;
}

/** The tensors that a block begins with. */
async function matchesAtStart(rest: Block, axis: "rows" | "columns", tensors: TensorIndex): Promise<readonly Match[]> {
  const matches: Match[] = [];
  const { numbers: initializer, row, column, stride } = rest;
  for (const numbers of await tensors.startingAt(initializer, row * stride + column)) {
    const isAlike = numbers.shape.length === initializer.shape.length && isReadable(numbers.dtype, initializer.dtype);
    if (!isAlike || numbers.count === 1) continue;
    const tensor = wholeBlock(numbers);
    for (const transposed of numbers.shape.length === 2 ? [false, true] : [false]) {
      const [rows, columns] = transposed ? [tensor.columns, tensor.rows] : [tensor.rows, tensor.columns];
      const piece = axis === "rows" ? { ...rest, rows } : { ...rest, columns };
      const fits = rows <= rest.rows && columns <= rest.columns;
      if (fits && (await equalBlocks(piece, tensor, transposed))) {
        matches.push({ tensor: numbers.name, transposed, length: piece[axis] });
      }
    }
  }
  return matches;
}
