import { quote } from "../quote.js";
import { type HeaderContext, headerError } from "./header-limits.js";
import type { TensorEntry } from "./tensor-entry.js";

/**
 * The tensors in the order of their bytes, once it is sure that they fill the file from `dataOffset` to its end with no
 * hole, no overlap and nothing after (safetensors README: "the byte buffer needs to be entirely indexed, and cannot
 * contain holes"). A hole or a tail could be a second file inside this one; a short end is a download that stopped.
 */
export function assertTiled(
  tensors: readonly TensorEntry[],
  context: HeaderContext & { readonly dataOffset: number },
): readonly TensorEntry[] {
  const { file, fileBytes, dataOffset } = context;
  const sorted = inOrder(tensors) ? tensors : tensors.toSorted(byOffset);
  let end = 0;
  let previous: TensorEntry | undefined;
  for (const tensor of sorted) {
    if (tensor.begin !== end) {
      const before = previous === undefined ? "tensor data starts at 0" : `${quote(previous.name)} ends at ${end}`;
      const what = tensor.begin > end ? "leaves a hole before it" : "overlaps another tensor";
      throw headerError(file, `it ${what}: it begins at ${tensor.begin} and ${before}`, tensor.name);
    }
    end = tensor.end;
    previous = tensor;
  }

  const dataBytes = fileBytes - dataOffset;
  if (end > dataBytes) {
    const problem = `the file is cut short: it needs ${end} bytes of tensor data and has ${dataBytes}`;
    throw headerError(file, problem, sorted.find((tensor) => tensor.end > dataBytes)?.name);
  }
  if (end < dataBytes) throw headerError(file, `${dataBytes - end} bytes follow the last tensor, which ends at ${end}`);
  return sorted;
}

function inOrder(tensors: readonly TensorEntry[]): boolean {
  let previous: TensorEntry | undefined;
  for (const tensor of tensors) {
    if (previous !== undefined && byOffset(previous, tensor) > 0) return false;
    previous = tensor;
  }
  return true;
}

/** By begin, then end, so that a tensor without elements comes before the one whose offset it shares. */
function byOffset(left: TensorEntry, right: TensorEntry): number {
  return left.begin - right.begin || left.end - right.end;
}
