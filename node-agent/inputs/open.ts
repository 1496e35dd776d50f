import { dtypeBytes } from "../../shared/checkpoint/dtypes.js";
import type { CombinedRows } from "./combinations.js";
import { computable, type PieceInput, type StoredInput } from "./input.js";
import { LowRankReader } from "./low-rank.js";
import type { InputReader, ReadContext } from "./reader.js";
import { RowMapReader } from "./row-map.js";
import { WidenedReader } from "./widened.js";

/** The readers of a piece's inputs for one pass, one per input. `shape` is the whole tensor's. */
export function openInputs(
  inputs: readonly PieceInput[],
  shape: readonly number[],
  context: ReadContext,
  kept: CombinedRows,
): readonly InputReader[] {
  const [rows = 1, columns = 1] = shape;
  return inputs.map((input, place) => {
    if (input.rows !== undefined) {
      const tensors = input.rows.tensors.map((tensor) => openMatrix(tensor, { rows: tensor.rows, columns }, context));
      return new RowMapReader(input.rows, columns, tensors, context, { place, kept });
    }
    return input.updates === undefined ? storedReader(input, context) : openMatrix(input, { rows, columns }, context);
  });
}

/** A stored matrix as F32, with its updates. */
function openMatrix(
  tensor: StoredInput,
  shape: { readonly rows: number; readonly columns: number },
  context: ReadContext,
): InputReader {
  const base = new WidenedReader(tensor, context);
  return tensor.updates === undefined ? base : new LowRankReader(base, tensor.updates, shape, context);
}

/** Elements as they are stored: a read into the tile and nothing else. */
function storedReader({ file, offset, dtype }: StoredInput, context: ReadContext): InputReader {
  const width = dtypeBytes(computable(dtype));
  return {
    read: (begin, end, into) => context.read(file, into, (end - begin) * width, offset + begin * width),
  };
}
