import { AmalgamError } from "../errors.js";
import { formatCount, quote, quoteList } from "../quote.js";
import type { CheckpointTensor } from "./checkpoint.js";
import type { Header } from "./header.js";
import { type CheckpointIndex, maxTensors } from "./index-json.js";

/** A shard whose header was read. */
export type Shard = { readonly name: string; readonly header: Header };

/**
 * All tensors of a checkpoint in the order of its files and their bytes, checked against the index. Listed tensors that
 * are absent, and tensors in two shards, are errors. A tensor that one shard has and the index does not list is kept
 * with a warning: transformers and vLLM load whole shards, so they would load it too.
 */
export function collectTensors(
  directory: string,
  shards: readonly Shard[],
  index: CheckpointIndex | undefined,
): { readonly tensors: ReadonlyMap<string, CheckpointTensor>; readonly warnings: readonly string[] } {
  const tensors = new Map<string, CheckpointTensor>();
  // A model has few shapes and many tensors of each.
  const shapes = new Map<string, readonly number[]>();
  const unlisted: string[] = [];
  let totalBytes = 0;
  for (const [file, { name: shard, header }] of shards.entries()) {
    for (const { name, dtype, shape, begin, end } of header.tensors) {
      const twin = tensors.get(name);
      if (twin !== undefined) {
        const both = quoteList([shards[twin.file]?.name ?? "", shard]);
        throw malformed(`tensor ${quote(name)} is in two files, ${both}`, name);
      }
      if (index !== undefined && !index.weightMap.has(name)) unlisted.push(name);
      const shared = shapes.get(shape.join()) ?? shape;
      if (shared === shape) shapes.set(shape.join(), shape);
      tensors.set(name, { name, dtype, shape: shared, file, offset: header.dataOffset + begin, bytes: end - begin });
      totalBytes += end - begin;
    }
    if (tensors.size > maxTensors) throw malformed(`it has more than ${formatCount(maxTensors)} tensors`);
  }
  if (index === undefined) return { tensors, warnings: tensors.size === 0 ? ["The checkpoint has no tensors"] : [] };

  assertListed(index.weightMap);
  const warnings: string[] = [];
  if (unlisted.length > 0) {
    warnings.push(`The index does not list ${unlisted.length} of the tensors in its files: ${quoteList(unlisted)}`);
  }
  if (index.totalSize !== undefined && index.totalSize !== totalBytes) {
    warnings.push(`The index says that all tensors take ${index.totalSize} bytes; they take ${totalBytes}`);
  }
  return { tensors, warnings };

  function assertListed(weightMap: ReadonlyMap<string, string>): void {
    for (const [name, shard] of weightMap) {
      const tensor = tensors.get(name);
      if (tensor === undefined) throw malformed(`tensor ${quote(name)} is absent from ${quote(shard)}`, name);
      const actual = shards[tensor.file]?.name ?? "";
      if (actual === shard) continue;
      throw malformed(`tensor ${quote(name)} is in ${quote(actual)} and the index says ${quote(shard)}`, name);
    }
  }

  function malformed(problem: string, tensor?: string): AmalgamError {
    return new AmalgamError("checkpoint_malformed", `Cannot open checkpoint ${quote(directory)}: ${problem}`, {
      details: tensor === undefined ? { file: directory } : { file: directory, tensor },
    });
  }
}
