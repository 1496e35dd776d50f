import type { WeightPiece } from "../../../shared/onnx/weight-plan.js";
import { affinity, isSameName } from "./affinity.js";
import { equalBlocks, wholeBlock } from "./equal-blocks.js";
import { isReadable, isUniform, type Numbers } from "./numbers.js";
import type { TensorIndex } from "./tensor-index.js";

/** An initializer that was found in a checkpoint. */
export interface Found {
  readonly pieces: readonly WeightPiece[];
  /** Tensors with the same numbers, which it could be as well: only its name or its place in the graph told them apart. */
  readonly ties: readonly string[];
}

interface Candidate {
  readonly tensor: Numbers;
  readonly transposed: boolean;
}

/**
 * The tensor whose numbers an initializer has, as they are or transposed. Among equals the one whose name is nearest to
 * `hints` is taken, then one that is not `used` yet, then the first. A single number is taken for a tensor only by name,
 * since many constants have the same.
 */
export async function findTensor(
  initializer: Numbers,
  tensors: TensorIndex,
  hints: readonly string[],
  used: ReadonlySet<string>,
): Promise<Found | undefined> {
  const alike = (await tensors.startingAt(initializer)).filter(({ dtype }) => isReadable(dtype, initializer.dtype));
  const candidates = alike
    .flatMap((tensor) => waysToMatch(initializer, tensor))
    .map((candidate) => ({ ...candidate, affinity: affinity(hints, candidate.tensor.name) }));
  const named =
    initializer.count > 1 ? candidates : candidates.filter(({ tensor }) => isSameName(initializer.name, tensor.name));
  const inOrder = named.toSorted((a, b) => {
    if (a.affinity !== b.affinity) return a.affinity > b.affinity ? -1 : 1;
    return Number(used.has(a.tensor.name)) - Number(used.has(b.tensor.name));
  });
  const equal: Candidate[] = [];
  for (const candidate of inOrder) {
    const { tensor, transposed } = candidate;
    if (await equalBlocks(wholeBlock(initializer), wholeBlock(tensor), transposed)) equal.push(candidate);
  }
  // Zeros equal every bias that never moved; what a named initializer has taken is not theirs.
  const isFree = ({ tensor }: Candidate) => isSameName(initializer.name, tensor.name) || !used.has(tensor.name);
  const [best, ...others] = equal.length > 0 && (await isUniform(initializer)) ? equal.filter(isFree) : equal;
  if (best === undefined) return undefined;
  const { name } = best.tensor;
  const ties = isSameName(initializer.name, name) ? [] : [...new Set(others.map(({ tensor }) => tensor.name))];
  return { pieces: [{ tensor: name, transposed: best.transposed }], ties: ties.filter((tie) => tie !== name) };
}

function waysToMatch({ shape }: Numbers, tensor: Numbers): readonly Candidate[] {
  const ways: Candidate[] = [];
  if (tensor.shape.join() === shape.join()) ways.push({ tensor, transposed: false });
  if (shape.length === 2 && tensor.shape.toReversed().join() === shape.join()) ways.push({ tensor, transposed: true });
  return ways;
}
