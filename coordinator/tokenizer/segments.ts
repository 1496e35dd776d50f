/** Consecutive rows of an output matrix, by where they come from. `model` is the model whose matrix is read. */
export type VocabularySegment =
  /** `count` consecutive rows of one model's matrix, from `row` on. */
  | { readonly kind: "run"; readonly count: number; readonly model: number; readonly row: number }
  /** `count` equal rows: the weighted sum of rows. */
  | { readonly kind: "combination"; readonly count: number; readonly terms: readonly VocabularyTerm[] }
  | { readonly kind: "zero"; readonly count: number };

/** `rows` consecutive rows of a model's matrix from `row` on, each with the same weight. */
export interface VocabularyTerm {
  readonly model: number;
  readonly row: number;
  readonly rows: number;
  readonly weight: number;
}

/** Where one row of an output matrix comes from: some rows in equal parts, one of them mostly, or none for zeros. */
export type RowSource = readonly { readonly model: number; readonly row: number }[];

/** Puts rows together one after the other, as few segments as there can be. */
export class SegmentBuilder {
  readonly #segments: VocabularySegment[] = [];

  add(source: RowSource): void {
    const [only] = source;
    const last = this.#segments.at(-1);
    if (only === undefined) {
      if (last?.kind === "zero") this.#replaceLast({ ...last, count: last.count + 1 });
      else this.#segments.push({ kind: "zero", count: 1 });
    } else if (source.length > 1) {
      const terms = source.map(({ model, row }) => ({ model, row, rows: 1, weight: 1 / source.length }));
      this.#segments.push({ kind: "combination", count: 1, terms });
    } else if (last?.kind === "run" && last.model === only.model && last.row + last.count === only.row) {
      this.#replaceLast({ ...last, count: last.count + 1 });
    } else {
      this.#segments.push({ kind: "run", count: 1, ...only });
    }
  }

  /** The segments, followed by `padding` rows that are the mean of all that were added. */
  finish(padding: number): readonly VocabularySegment[] {
    if (padding === 0) return this.#segments;
    return [...this.#segments, { kind: "combination", count: padding, terms: meanOf(this.#segments) }];
  }

  #replaceLast(segment: VocabularySegment): void {
    this.#segments[this.#segments.length - 1] = segment;
  }
}

export function countRows(segments: readonly VocabularySegment[]): number {
  return segments.reduce((sum, { count }) => sum + count, 0);
}

/** The mean of all rows as one weighted sum; neighbours that the output put in another order become one term again. */
function meanOf(segments: readonly VocabularySegment[]): readonly VocabularyTerm[] {
  const rows = countRows(segments);
  const terms = segments.flatMap((segment): readonly VocabularyTerm[] => {
    if (segment.kind === "zero") return [];
    if (segment.kind === "run")
      return [{ model: segment.model, row: segment.row, rows: segment.count, weight: 1 / rows }];
    return segment.terms.map((term) => ({ ...term, weight: (term.weight * segment.count) / rows }));
  });
  const joined: VocabularyTerm[] = [];
  for (const term of terms.sort((a, b) => a.weight - b.weight || a.model - b.model || a.row - b.row)) {
    const last = joined.at(-1);
    const follows =
      last?.model === term.model && last.weight === term.weight && last.row + last.rows === term.row ? last : undefined;
    if (follows === undefined) joined.push(term);
    else joined[joined.length - 1] = { ...follows, rows: follows.rows + term.rows };
  }
  return joined;
}
