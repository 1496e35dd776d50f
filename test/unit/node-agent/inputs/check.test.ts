import { clone, create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { createRequestBuilder } from "../../../../coordinator/dispatch/request.js";
import { assertRequest } from "../../../../node-agent/check-request.js";
import {
  maxRank,
  maxRowColumns,
  maxRowSegments,
  maxRowTensors,
  maxRowTerms,
  maxUpdates,
} from "../../../../node-agent/inputs/limits.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { Graph } from "../../../../shared/expression/expression.js";
import {
  type MergeRequest,
  MergeRequestSchema,
  type RowMap,
  RowMapSchema,
  RowSegmentSchema,
  type TensorSource,
  TensorSourceSchema,
} from "../../../../shared/gen/amalgam/v1/agent_pb.js";
import { fakePlan, streamed } from "../../../support/dispatch.js";

// One piece, the rows [2, 8) of a tensor of 10 x 4, from a matrix with an update and from a row map.

const graph = new Graph();
const program = graph.finish(graph.input().plus(graph.input().times(graph.uniform(1))));
const plan = { ...fakePlan([{ name: "w", elements: 40 }]), programs: [program] };
const tensors = plan.tensors.map((tensor) => ({ ...tensor, shape: [10, 4] }));
const unit = { id: 0, pieces: [{ tensor: 0, begin: 8, end: 32 }], bytesRead: 0, bytesWritten: 0 };
const request = createRequestBuilder({ ...plan, tensors }, "job")(unit, { epoch: 1, task: streamed }).message;
const stored = { file: 0, offset: 0n, dtype: "F16" };

/** What a request with these inputs is refused with. The files have 144 bytes. */
function refusal(input: MessageInitShape<typeof TensorSourceSchema>, change = (_: MergeRequest) => {}): string {
  const changed = clone(MergeRequestSchema, request);
  const [piece] = changed.pieces;
  if (piece === undefined) throw new Error("The request has no piece");
  piece.inputs = [create(TensorSourceSchema, stored), create(TensorSourceSchema, input)];
  change(changed);
  try {
    assertRequest(changed);
    return "accepted";
  } catch (error) {
    if (error instanceof AmalgamError && error.code === "usage") return error.message;
    throw error;
  }
}

const goodUpdate = { a: stored, b: stored, rank: 2, scale: 1, transposed: false };

function updated(change: object): MessageInitShape<typeof TensorSourceSchema> {
  return { ...stored, updates: [{ ...goodUpdate, ...change }] };
}

test("an update whose factors lie within their files is accepted, either way round", () => {
  expect(refusal(updated({}))).toBe("accepted");
  expect(refusal(updated({ transposed: true }))).toBe("accepted");
  expect(refusal({ ...stored, updates: new Array(maxUpdates).fill(goodUpdate) })).toBe("accepted");
});

const rowsOfItsOwn = create(RowMapSchema, {});

test.each<[string, object, string]>([
  ["no rank", { rank: 0 }, "rank 0, which is not between 1 and"],
  ["a huge rank", { rank: maxRank + 1 }, `rank ${maxRank + 1}, which is not between 1 and ${maxRank}`],
  ["a scale that is no number", { scale: Number.NaN }, "a scale of NaN"],
  ["an infinite scale", { scale: Infinity }, "a scale of Infinity"],
  ["A without a file", { a: { ...stored, file: 7 } }, "source file 7 of 2"],
  ["A beyond its file", { a: { ...stored, offset: 129n } }, "16 bytes at 129"],
  ["B beyond its file", { b: { ...stored, offset: 105n } }, "40 bytes at 105"],
  ["A beyond its file, transposed", { a: { ...stored, offset: 105n }, transposed: true }, "40 bytes at 105"],
  ["A of integers", { a: { ...stored, dtype: "I8" } }, 'put together from dtype "I8", which only copies'],
  ["B of an unknown dtype", { b: { ...stored, dtype: "F99" } }, '10 x 2 input elements of dtype "F99"'],
  ["A with an update", { a: { ...stored, updates: [goodUpdate] } }, "a low-rank factor with updates or rows"],
  ["B with rows", { b: { ...stored, rows: rowsOfItsOwn } }, "a low-rank factor with updates or rows of its own"],
])("an update with %s is refused", (_, change, message) => {
  expect(refusal(updated(change))).toContain(`"w" has`);
  expect(refusal(updated(change))).toContain(message);
});

test("updates of what cannot have them are refused", () => {
  const one = (dimensions: bigint[]) => (changed: MergeRequest) =>
    void Object.assign(changed.pieces[0] ?? {}, { shape: dimensions });
  expect(refusal(updated({}), one([40n]))).toContain("1 dimensions instead of 2");
  expect(refusal(updated({}), one([2n, 5n, 4n]))).toContain("3 dimensions instead of 2");
  expect(refusal({ ...updated({}), dtype: "I64" })).toContain("320 bytes at 0");
  expect(refusal({ ...updated({}), dtype: "I16" })).toContain('dtype "I16", which only copies');
  expect(refusal({ ...stored, updates: [{ b: stored, rank: 2, scale: 1 }] })).toContain("without both its factors");
  expect(refusal({ ...stored, updates: new Array(maxUpdates + 1).fill(goodUpdate) })).toContain("65 low-rank updates");
});

const goodRows = create(RowMapSchema, {
  tensors: [stored, { ...stored, updates: [{ ...goodUpdate, b: { ...stored, offset: 80n } }] }],
  tensorRows: [10n, 12n],
  firstRow: 2n,
  segments: [
    { count: 3n, run: { tensor: 0, row: 7n } },
    { count: 1n },
    { count: 2n, terms: [{ tensor: 1, row: 0n, rows: 12n, weight: 1 }] },
  ],
});

function rowMap(change: (rows: RowMap) => void): MessageInitShape<typeof TensorSourceSchema> {
  const rows = clone(RowMapSchema, goodRows);
  change(rows);
  return { dtype: "F32", rows };
}

/** Changes a part of the first segment's run, or of the last segment's only term. */
const run = (values: object) => (rows: RowMap) => void Object.assign(rows.segments[0]?.run ?? {}, values);
const term = (values: object) => (rows: RowMap) => void Object.assign(rows.segments[2]?.terms[0] ?? {}, values);
const segment = (place: number, values: object) => (rows: RowMap) =>
  void Object.assign(rows.segments[place] ?? {}, values);
const firstTensor = (values: Partial<TensorSource>) => (rows: RowMap) =>
  void Object.assign(rows.tensors[0] ?? {}, values);

test("a row map that covers its piece is accepted", () => {
  expect(refusal(rowMap(() => undefined))).toBe("accepted");
});

test.each<[string, (rows: RowMap) => void, string]>([
  ["a tensor beyond its file", firstTensor({ offset: 100n }), "80 bytes at 100"],
  ["a tensor without a file", firstTensor({ file: 9 }), "source file 9 of 2"],
  ["a tensor of integers", firstTensor({ dtype: "U8" }), 'put together from dtype "U8"'],
  ["a row map inside", firstTensor({ rows: rowsOfItsOwn }), "a row map within a row map"],
  ["more rows than any file", (rows) => rows.tensorRows.splice(0, 1, 2n ** 63n), "input elements of dtype"],
  ["too few row counts", (rows) => rows.tensorRows.pop(), "2 tensors and 1 row counts"],
  ["a run of an unknown tensor", run({ tensor: 2 }), "rows of tensor 2 of 2"],
  ["a run beyond its tensor", run({ row: 8n }), "rows [8, 11) of 10"],
  ["a run far beyond its tensor", run({ row: 2n ** 63n }), "of 10 in a row map"],
  ["a run with terms", segment(0, { terms: goodRows.segments[2]?.terms }), "both a run and terms"],
  ["a segment without rows", segment(1, { count: 0n }), "a segment without rows"],
  ["a term of an unknown tensor", term({ tensor: 5 }), "rows of tensor 5 of 2"],
  ["a term beyond its tensor", term({ row: 1n }), "rows [1, 13) of 12"],
  ["a term without rows", term({ rows: 0n }), "a term without rows"],
  ["a weight that is no number", term({ weight: Number.NaN }), "a weight of NaN"],
  ["rows that begin too late", (rows) => void Object.assign(rows, { firstRow: 3n }), "[3, 9), and a piece of the rows"],
  ["rows that end too early", (rows) => rows.segments.pop(), "[2, 6), and a piece of the rows [2, 8)"],
  ["rows beyond the matrix", segment(1, { count: 10n }), "the rows [2, 17) of 10"],
  ["endless rows", segment(1, { count: 2n ** 64n - 1n }), "of 10"],
  ["no segments", (rows) => rows.segments.splice(0), "[2, 2), and a piece of the rows"],
])("a row map with %s is refused", (_, change, message) => {
  expect(refusal(rowMap(change))).toContain(message);
});

test("a row map meets its limits", () => {
  const tensors = new Array(maxRowTensors + 1).fill(goodRows.tensors[0]);
  const segments = new Array(maxRowSegments + 1).fill(goodRows.segments[1]);
  const long = create(RowSegmentSchema, { count: 1n });
  long.terms = new Array(maxRowTerms / 8 + 1).fill(goodRows.segments[2]?.terms[0]);
  const cases: [Partial<RowMap>, string][] = [
    [{ tensors }, `${maxRowTensors + 1} tensors, more than ${maxRowTensors}`],
    [{ segments }, `${maxRowSegments + 1} segments, more than ${maxRowSegments}`],
    [{ segments: new Array(8).fill(long) }, `more than ${maxRowTerms} terms`],
  ];
  for (const [values, message] of cases) {
    expect(refusal({ dtype: "F32", rows: { ...goodRows, ...values } })).toContain(message);
  }
  const widen = ({ pieces, sources }: MergeRequest): void => {
    for (const source of sources) source.bytes = 2n ** 40n;
    Object.assign(pieces[0] ?? {}, { shape: [10n, BigInt(maxRowColumns) + 1n] });
  };
  expect(refusal({ dtype: "F32", rows: goodRows }, widen)).toContain(`${maxRowColumns + 1} columns, more than`);
});

test("a row map and updates beside each other are refused", () => {
  expect(refusal({ ...updated({}), rows: goodRows })).toContain("both updates and rows");
});

test("random streams are as many as the program draws from, or none", () => {
  const streams =
    (count: number, seed = 1n) =>
    (changed: MergeRequest) =>
      void Object.assign(changed.pieces[0] ?? {}, {
        randomStreams: Array.from({ length: count }, (_, stream) => ({ seed, tensor: "t", stream })),
      });
  expect(refusal(stored, streams(2))).toBe("accepted");
  expect(refusal(stored, streams(1))).toContain('"w" has 1 random streams, its program 2');
  expect(refusal(stored, streams(2, 2n ** 60n))).toContain("random stream's seed of 1152921504606846976");
});
