import { isComputable } from "../../shared/checkpoint/dtypes.js";
import type { CheckpointTensor } from "../../shared/checkpoint/open.js";
import { formatCount, quote, quoteList } from "../../shared/quote.js";
import type { Adapter } from "./adapter.js";
import { findEmbedding, findInBase, isHead } from "./base-names.js";
import { type AdapterModule, readModules, type WholeTensor } from "./modules.js";
import { storesInByOut } from "./storage.js";

/** scale · B A, to be added to a matrix of the base; transposed where the matrix is stored as in × out. */
export interface AdapterUpdate {
  /** rank × in, a tensor of `Adapter.checkpoint`. */
  readonly a: CheckpointTensor;
  /** out × rank. */
  readonly b: CheckpointTensor;
  readonly rank: number;
  readonly scale: number;
  /** (B A)ᵀ is added: W is in × out (GPT-2's Conv1D), or an embedding, vocabulary × hidden. */
  readonly transposed: boolean;
}

/** What an adapter does to the tensors of one base. */
export interface ResolvedAdapter {
  /** By name of the base's tensor. One that is replaced too is added to after it was replaced. */
  readonly updates: ReadonlyMap<string, AdapterUpdate>;
  /** By name of the base's tensor: the adapter's tensor that stands in for it. Its shape is the base's. */
  readonly replaced: ReadonlyMap<string, CheckpointTensor>;
  /** What does not fit or is not supported, each a sentence. An adapter with problems must not be applied. */
  readonly problems: readonly string[];
  /** What is left out, as PEFT leaves it out, each a sentence. */
  readonly warnings: readonly string[];
}

/**
 * Finds the base's tensors that an adapter changes. Pure: headers in, headers out.
 *
 * A base that ties its output head to its embedding stores one tensor for both. As in PEFT, an update of either then is
 * one of both; an adapter that updates both, or replaces the head alone, does not fit such a base.
 */
export function resolveAdapter(adapter: Adapter, base: ReadonlyMap<string, CheckpointTensor>): ResolvedAdapter {
  const { modules, whole, problems, warnings } = readModules(adapter);
  const resolution = new Resolution(base, storesInByOut(base) ?? adapter.config.fan_in_fan_out, problems);
  for (const module of modules) resolution.update(module);
  for (const [name, replacement] of whole)
    resolution.replace(name, replacement, adapter.config.ensure_weight_tying || adapter.isHeadCopied);
  return { ...resolution.finish(), warnings };
}

class Resolution {
  readonly #base: ReadonlyMap<string, CheckpointTensor>;
  /** How square matrices are stored, of which shapes say nothing. */
  readonly #squareIsInByOut: boolean;
  readonly #updates = new Map<string, AdapterUpdate>();
  readonly #replaced = new Map<string, CheckpointTensor>();
  readonly #problems: string[];
  readonly #missing: string[] = [];

  constructor(base: ReadonlyMap<string, CheckpointTensor>, squareIsInByOut: boolean, problems: readonly string[]) {
    this.#base = base;
    this.#squareIsInByOut = squareIsInByOut;
    this.#problems = [...problems];
  }

  update(module: AdapterModule): void {
    const { name, a, b, rank, scale, isEmbedding } = module;
    const tied = isHead(name) ? findEmbedding(this.#base) : undefined;
    const target = findInBase(`${name}.weight`, this.#base) ?? tied;
    if (target === undefined) {
      this.#missing.push(name);
      return;
    }
    const transposed = this.#orientation(module, target);
    if (transposed === undefined) return;
    const uncomputable = [target, a, b].find(({ dtype }) => !isComputable(dtype));
    if (uncomputable !== undefined) {
      this.#problems.push(`tensor ${quote(uncomputable.name)} is ${uncomputable.dtype}, to which nothing can be added`);
    } else if (this.#updates.has(target.name)) {
      const what = isEmbedding || tied === target ? "the head and the embedding, which are one" : "the same tensor";
      this.#problems.push(`tensor ${quote(target.name)} is updated twice, the second time as ${quote(name)}: ${what}`);
    } else this.#updates.set(target.name, { a, b, rank, scale, transposed });
  }

  replace(name: string, { tensor, isUnderneath }: WholeTensor, copiesAreTied: boolean): void {
    const tied = isHead(name.slice(0, name.lastIndexOf("."))) ? findEmbedding(this.#base) : undefined;
    // What lies under an adapted head is the embedding itself; a head that was saved on its own has come apart from it.
    const target = findInBase(name, this.#base) ?? (isUnderneath ? tied : undefined);
    if (target !== undefined && sameShape(target.shape, tensor.shape)) this.#replaced.set(target.name, tensor);
    else if (target !== undefined) {
      this.#problems.push(
        `tensor ${quote(target.name)} is ${shown(target.shape)} in the base, and the adapter's own is ` +
          `${shown(tensor.shape)}: give the base that shape first`,
      );
    } else if (tied === undefined) this.#missing.push(name);
    else if (!copiesAreTied) {
      this.#problems.push(`it has a head of its own, ${quote(name)}, and the base ties its head to its embedding`);
    }
  }

  finish(): Omit<ResolvedAdapter, "warnings"> {
    const missing = this.#missing;
    if (missing.length > 0) {
      const count = formatCount(missing.length);
      const what = missing.length === 1 ? "1 of its names is" : `${count} of its names are`;
      this.#problems.push(`${what} not in the base: ${quoteList(missing)}`);
    }
    return { updates: this.#updates, replaced: this.#replaced, problems: this.#problems };
  }

  /** Whether the update is transposed; undefined, and a problem, where its shape does not fit either way. */
  #orientation({ name, a, b, isEmbedding }: AdapterModule, { name: target, shape }: CheckpointTensor) {
    const [out = 0, into = 0] = [b.shape[0], a.shape[1]];
    const fitsAsIs = sameShape(shape, [out, into]);
    const fitsTransposed = sameShape(shape, [into, out]);
    if (isEmbedding && fitsTransposed) return true;
    if (!isEmbedding && (fitsAsIs || fitsTransposed)) {
      return fitsAsIs && fitsTransposed ? this.#squareIsInByOut : fitsTransposed;
    }
    const made = shown(isEmbedding ? [into, out] : [out, into]);
    this.#problems.push(
      `tensor ${quote(target)} is ${shown(shape)} in the base, and the factors of ${quote(name)} make ${made}`,
    );
    return undefined;
  }
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dimension, i) => dimension === b[i]);
}

function shown(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}
