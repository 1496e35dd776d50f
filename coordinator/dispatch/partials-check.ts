import type { AmalgamError } from "../../shared/errors.js";
import { binsOf, type Count, isUpperCount } from "../../shared/expression/order-statistics.js";
import type { Gather } from "../../shared/expression/passes.js";
import { blockElements } from "../../shared/expression/statistics.js";
import type { GatheredPartial } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import type { ExpectedPiece } from "./request.js";

/** What one gather of a pass found in one piece, or in all pieces of the unit together. */
export type PartialResult = {
  /** Into the pass's gathers. */
  readonly gather: number;
  /** Into Unit.pieces; undefined: of all of them. */
  readonly piece: number | undefined;
} & (
  | { readonly kind: "sum"; readonly blocks: readonly number[] }
  | { readonly kind: "largest"; readonly value: number }
  /** Bins that are not empty. */
  | { readonly kind: Count; readonly bins: readonly number[]; readonly counts: readonly number[] }
);

type Refuse = (problem: string, tensor?: string) => AmalgamError;

/**
 * Collects the partial results of a gathering unit and checks that every gather covers every piece exactly once, that
 * sums have one number per block, and that counts add up.
 */
export class PartialsCheck {
  readonly #pieces: readonly ExpectedPiece[];
  readonly #gathers: readonly Gather[];
  readonly #refuse: Refuse;
  readonly #results: PartialResult[] = [];
  /** By gather: the pieces that have been heard of, with a sum's blocks so far. */
  readonly #covered: readonly Map<number, number[]>[];

  constructor(pieces: readonly ExpectedPiece[], pass: number, refuse: Refuse) {
    this.#pieces = pieces;
    this.#gathers = pieces[0]?.schedule.statistics[pass]?.gathers ?? [];
    this.#refuse = refuse;
    this.#covered = this.#gathers.map(() => new Map());
  }

  add(partial: GatheredPartial): void {
    const gather = this.#gathers[partial.gather];
    const covered = this.#covered[partial.gather];
    if (gather === undefined || covered === undefined) {
      throw this.#refuse(`sent statistic ${partial.gather} of ${this.#gathers.length}`);
    }
    if (gather.kind === "sum") {
      this.#addBlocks(partial, covered);
      return;
    }
    const { piece } = partial;
    if (piece === undefined && gather.scope !== "model") {
      throw this.#refuse(`merged statistic ${partial.gather} over tensors, which it is not about`);
    }
    const pieces = piece === undefined ? [...this.#pieces.keys()] : [piece];
    for (const index of pieces) {
      const tensor = this.#tensor(index);
      if (covered.has(index)) throw this.#refuse(`sent statistic ${partial.gather} of ${quote(tensor)} twice`, tensor);
      covered.set(index, []);
    }
    if (gather.kind === "largest") {
      if (partial.largest === undefined) throw this.#refuse("sent a maximum without its value");
      this.#results.push({ gather: partial.gather, piece, kind: "largest", value: partial.largest });
      return;
    }
    const counts = this.#counts(partial, gather.kind, pieces);
    this.#results.push({ gather: partial.gather, piece, kind: gather.kind, bins: partial.bins, counts });
  }

  finish(): readonly PartialResult[] {
    this.#covered.forEach((covered, gather) => {
      this.#pieces.forEach((piece, index) => {
        const blocks = covered.get(index);
        if (blocks === undefined && !(this.#gathers[gather]?.kind === "sum" && blocksOf(piece) === 0)) {
          throw this.#refuse(`ended without statistic ${gather} of ${quote(piece.tensor)}`, piece.tensor);
        }
        if (this.#gathers[gather]?.kind !== "sum") return;
        const found = blocks?.length ?? 0;
        if (found !== blocksOf(piece)) {
          throw this.#refuse(`sent ${found} sums of ${quote(piece.tensor)}, not ${blocksOf(piece)}`, piece.tensor);
        }
        this.#results.push({ gather, piece: index, kind: "sum", blocks: blocks ?? [] });
      });
    });
    return this.#results;
  }

  /** Long rows of sums may come in several messages, in order. */
  #addBlocks({ gather, piece, sums }: GatheredPartial, covered: Map<number, number[]>): void {
    if (piece === undefined) throw this.#refuse(`merged sums of statistic ${gather} over tensors`);
    const tensor = this.#tensor(piece);
    const blocks = covered.get(piece) ?? [];
    const wanted = blocksOf(this.#pieces[piece]);
    if (blocks.length + sums.length > wanted) {
      throw this.#refuse(`sent more than ${wanted} sums of ${quote(tensor)}`, tensor);
    }
    for (const sum of sums) blocks.push(sum);
    covered.set(piece, blocks);
  }

  #counts(partial: GatheredPartial, kind: Count, pieces: readonly number[]): readonly number[] {
    const limit = binsOf(kind);
    const elements = pieces.reduce((total, index) => total + (this.#pieces[index]?.elements ?? 0), 0);
    const counts = partial.counts.map(Number);
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (partial.bins.length !== counts.length || partial.bins.some((bin) => bin >= limit)) {
      throw this.#refuse(`sent ${counts.length} counts for ${partial.bins.length} bins below ${limit}`);
    }
    if (total > elements || (isUpperCount(kind) && total < elements)) {
      throw this.#refuse(`counted ${total} magnitudes among ${elements} elements`);
    }
    return counts;
  }

  #tensor(piece: number): string {
    const expected = this.#pieces[piece];
    if (expected === undefined) throw this.#refuse(`sent a statistic of piece ${piece} of ${this.#pieces.length}`);
    return expected.tensor;
  }
}

/** Partial sums of a piece: one per block, or per row in programs with row reductions. */
function blocksOf(piece: ExpectedPiece | undefined): number {
  if (piece === undefined) return 0;
  return Math.ceil(piece.elements / (piece.schedule.rowwise ? piece.row : blockElements));
}
