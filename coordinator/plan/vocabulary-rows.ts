import type { RowSegment } from "../../shared/checkpoint/row-segments.js";
import { quote } from "../../shared/quote.js";
import type { VocabularySegment } from "../tokenizer/segments.js";
import type { VocabularyPlan } from "../tokenizer/types.js";
import type { ModelTensor } from "./stage-model.js";
import { MustBeStored } from "./stored-stages.js";
import type { PlannedInput, RowMap } from "./types.js";

/**
 * A token matrix in the order of the output's vocabulary: by rows of its own and of other models' matrices.
 * `matrixOf` gives a model's matrix of the same name. Returns what is wrong as a sentence; throws `MustBeStored` for
 * rows that an earlier document computes.
 */
export function inOutputVocabulary(
  model: number,
  plan: VocabularyPlan,
  matrixOf: (model: number) => ModelTensor | undefined,
): ModelTensor | string {
  const own = matrixOf(model);
  const segments = plan.rowsOf.get(model);
  if (own === undefined || segments === undefined) return `model ${model} has no vocabulary`;
  const [rows = 0, columns = 1] = own.shape;
  if (isIdentity(segments, model, rows)) return own;
  if (own.shape.length > 2) return `it has ${own.shape.length} dimensions, and rows are taken from matrices only`;
  if (!("input" in own)) throw new MustBeStored(own.stage, computedRows);

  const tensors: RowMap["tensors"][number][] = [];
  const places = new Map<number, number>();
  let problem: string | undefined;
  const placeOf = (from: number): number => {
    const known = places.get(from);
    if (known !== undefined) return known;
    const matrix = matrixOf(from);
    if (matrix === undefined) problem = "another model that gives rows does not have it";
    else if (!("input" in matrix)) throw new MustBeStored(matrix.stage, computedRows);
    else if ((matrix.shape[1] ?? 1) !== columns) {
      problem = `rows of ${columns} and of ${matrix.shape[1] ?? 1} elements cannot stand in one matrix`;
    } else {
      const { model: _, rows: __, ...stored } = matrix.input;
      const place = tensors.push({ ...stored, rows: matrix.shape[0] ?? 0 }) - 1;
      places.set(from, place);
      return place;
    }
    return 0;
  };
  const mapped = segments.map((segment): RowSegment => {
    if (segment.kind === "zero") return segment;
    if (segment.kind === "run") {
      const { kind, count, row } = segment;
      return { kind, count, row, tensor: placeOf(segment.model) };
    }
    const terms = segment.terms.map(({ model: from, ...term }) => ({ ...term, tensor: placeOf(from) }));
    return { kind: "combination", count: segment.count, terms };
  });
  if (problem !== undefined) return problem;
  const bytes = tensors.reduce((total, tensor) => total + tensor.bytes, 0);
  const input: PlannedInput = { ...own.input, bytes, rows: { tensors, columns, segments: mapped } };
  return { ...own, shape: [plan.rows, ...own.shape.slice(1)], input };
}

const computedRows = "rows of its embedding go into another vocabulary, and rows can be taken from files only";

function isIdentity(segments: readonly VocabularySegment[], model: number, rows: number): boolean {
  const [only] = segments;
  return segments.length === 1 && only?.kind === "run" && only.model === model && only.row === 0 && only.count === rows;
}

/** What to say when two models' token matrices differ in rows and the recipe does not say whose tokens count. */
export function vocabulariesDiffer(names: readonly [string, string], rows: readonly [number, number]): string {
  const counts = `${quote(names[0])} has ${rows[0]} tokens and ${quote(names[1])} has ${rows[1]}`;
  return `the vocabularies differ, ${counts}: set "tokenizer_source" to "union" or to the model whose tokens to keep`;
}
