import { AmalgamError } from "../errors.js";
import { formatCount, quote, quoteList } from "../quote.js";
import { isSameShape } from "../shape.js";
import type { CheckpointTensor } from "./checkpoint.js";
import type { Header } from "./header.js";
import { type CheckpointIndex, maxTensors } from "./index-json.js";

/** All tensors of a checkpoint in the order of its files and their bytes, and what is odd about them. */
export type Collected = {
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  readonly warnings: readonly string[];
};

/**
 * Collects the tensors of a checkpoint's shards, whose headers are added in order and not kept. Tensors in two shards are
 * errors, as are those that are absent from where the index lists them. A tensor that one shard has and the index does not
 * list is kept with a warning: transformers and vLLM load whole shards, so they would load it too.
 */
export class TensorCollector {
  readonly #directory: string;
  readonly #shards: readonly string[];
  readonly #index: CheckpointIndex | undefined;
  readonly #tensors = new Map<string, CheckpointTensor>();
  readonly #sharedShape = shapeSharing();
  readonly #unlisted: string[] = [];
  #added = 0;
  /** Tensors that are where the index says. */
  #listed = 0;
  #totalBytes = 0;
  #problem: AmalgamError | undefined;

  /** `shards`: their names, in the order in which their headers will be added. */
  constructor(directory: string, shards: readonly string[], index: CheckpointIndex | undefined) {
    this.#directory = directory;
    this.#shards = shards;
    this.#index = index;
  }

  /** The header of the next shard. Never fails: what is wrong is said at the end, when all headers were read. */
  add({ tensors, dataOffset }: Header): void {
    const file = this.#added;
    const shard = this.#shards[file] ?? "";
    this.#added += 1;
    for (const { name, dtype, shape, begin, end } of tensors) {
      if (this.#problem !== undefined) return;
      const twin = this.#tensors.get(name);
      if (twin !== undefined) {
        const both = quoteList([this.#shards[twin.file] ?? "", shard]);
        this.#problem = this.#malformed(`tensor ${quote(name)} is in two files, ${both}`, name);
      }
      const offset = dataOffset + begin;
      this.#tensors.set(name, { name, dtype, shape: this.#sharedShape(shape), file, offset, bytes: end - begin });
      const expected = this.#index?.weightMap.get(name);
      if (expected === shard) this.#listed += 1;
      else if (expected === undefined && this.#index !== undefined) this.#unlisted.push(name);
      this.#totalBytes += end - begin;
    }
    if (this.#tensors.size <= maxTensors) return;
    this.#problem ??= this.#malformed(`it has more than ${formatCount(maxTensors)} tensors`);
  }

  /** All of it, once the last header was added. */
  finish(): Collected {
    const [tensors, index] = [this.#tensors, this.#index];
    if (this.#problem !== undefined) throw this.#problem;
    if (index === undefined) return { tensors, warnings: tensors.size === 0 ? ["The checkpoint has no tensors"] : [] };
    if (this.#listed < index.weightMap.size) throw this.#misplaced(index.weightMap);
    const warnings: string[] = [];
    const unlisted = this.#unlisted;
    if (unlisted.length > 0) {
      warnings.push(`The index does not list ${unlisted.length} of the tensors in its files: ${quoteList(unlisted)}`);
    }
    if (index.totalSize !== undefined && index.totalSize !== this.#totalBytes) {
      warnings.push(`The index says that all tensors take ${index.totalSize} bytes; they take ${this.#totalBytes}`);
    }
    return { tensors, warnings };
  }

  /** The first tensor that is not where the index says. */
  #misplaced(weightMap: ReadonlyMap<string, string>): AmalgamError {
    for (const [name, shard] of weightMap) {
      const tensor = this.#tensors.get(name);
      if (tensor === undefined) return this.#malformed(`tensor ${quote(name)} is absent from ${quote(shard)}`, name);
      const actual = this.#shards[tensor.file] ?? "";
      if (actual === shard) continue;
      return this.#malformed(`tensor ${quote(name)} is in ${quote(actual)} and the index says ${quote(shard)}`, name);
    }
    throw new RangeError("Every tensor is where the index says");
  }

  #malformed(problem: string, tensor?: string): AmalgamError {
    const file = this.#directory;
    return new AmalgamError("checkpoint_malformed", `Cannot open checkpoint ${quote(file)}: ${problem}`, {
      details: tensor === undefined ? { file } : { file, tensor },
    });
  }
}

/** Shapes looked at before the table of all is asked. */
const recentShapes = 8;

/** One array for all equal shapes: a model has few shapes and many tensors of each. */
function shapeSharing(): (shape: readonly number[]) => readonly number[] {
  const all = new Map<string, readonly number[]>();
  const recent: (readonly number[])[] = [];
  return (shape) => {
    const same = recent.find((other) => isSameShape(other, shape));
    if (same !== undefined) return same;
    const shared = all.get(shape.join()) ?? shape;
    if (shared === shape) all.set(shape.join(), shape);
    if (recent.unshift(shared) > recentShapes) recent.pop();
    return shared;
  };
}
