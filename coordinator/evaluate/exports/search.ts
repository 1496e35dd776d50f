import type { TensorProto } from "../../../shared/gen/onnx/onnx_pb.js";
import type { WeightPiece } from "../../../shared/onnx/weight-plan.js";
import { endingsOf, nameHints } from "./affinity.js";
import { findPieces } from "./find-pieces.js";
import { type Found, findTensor } from "./find-tensor.js";
import { initializerNumbers, type Numbers, type OpenFiles } from "./numbers.js";
import type { Export } from "./read-export.js";
import { TensorIndex } from "./tensor-index.js";

/** An initializer that is in no tensor. */
export interface Rest {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dataType: number;
  /** Undefined when they are no floats. */
  readonly numbers: Numbers | undefined;
}

/** Looks for every initializer among the tensors: first for those that are one tensor, then for those of several. */
export async function search(
  { graph, folder }: Export,
  tensors: readonly Numbers[],
  files: OpenFiles,
): Promise<{ readonly found: ReadonlyMap<string, Found>; readonly rest: readonly Rest[] }> {
  const hints = nameHints(graph);
  const index = await TensorIndex.of(tensors);
  const found = new Map<string, Found>();
  const used = new Set<string>();
  const take = (name: string, match: Found) => {
    found.set(name, match);
    for (const { tensor } of match.pieces) used.add(tensor);
  };

  const missing: Rest[] = [];
  for (const initializer of namedFirst(graph.initializer, tensors)) {
    const { name, dims, dataType } = initializer;
    const numbers = initializerNumbers(initializer, folder, files);
    const match = numbers && (await findTensor(numbers, index, hints.get(name) ?? [], used));
    if (match === undefined) missing.push({ name, shape: dims.map(Number), dataType, numbers });
    else take(name, match);
  }

  const rest: Rest[] = [];
  const packed: (readonly WeightPiece[])[] = [];
  // Matrices tell tensors apart; vectors, many of which are all zero, follow their order.
  for (const initializer of missing.toSorted((a, b) => b.shape.length - a.shape.length)) {
    const { name, numbers } = initializer;
    const match = numbers && numbers.count > 1 ? await findPieces(numbers, index, { used, packed }) : undefined;
    if (match === undefined) {
      rest.push(initializer);
      continue;
    }
    take(name, match);
    packed.push(match.pieces);
  }
  return { found, rest };
}

/** Those that are named after a tensor come first, so that what is left to guess is guessed among what is left. */
function namedFirst(initializers: readonly TensorProto[], tensors: readonly Numbers[]): readonly TensorProto[] {
  const names = new Set(tensors.map(({ name }) => name));
  const endings = new Set(tensors.flatMap(({ name }) => endingsOf(name)));
  const isNamed = ({ name }: TensorProto) => endings.has(name) || endingsOf(name).some((ending) => names.has(ending));
  const named = new Set(initializers.filter(isNamed));
  return [...named, ...initializers.filter((tensor) => !named.has(tensor))];
}
