import { crc32 } from "node:zlib";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { createRequestBuilder, type UnitTask } from "../../../../coordinator/dispatch/request.js";
import { UnitCheck } from "../../../../coordinator/dispatch/unit-check.js";
import { Graph } from "../../../../shared/expression/expression.js";
import { ChunkSchema, GatheredPartialSchema, PieceReceiptSchema } from "../../../../shared/gen/amalgam/v1/agent_pb.js";
import { fakePlan, streamed } from "../../../support/dispatch.js";

const plan = fakePlan([
  { name: "a", elements: 50 },
  { name: "b", elements: 70_000 },
]);
const pieces = plan.tensors.map(({ elements }, tensor) => ({ tensor, begin: 0, end: elements }));
const unit = { id: 4, pieces, bytesRead: 0, bytesWritten: 0 };

function checkOf(task: UnitTask, of = plan): UnitCheck {
  return new UnitCheck(createRequestBuilder(of, "job")(unit, { epoch: 2, task }), '"fake"');
}

/** Bytes [begin, end) of a piece, all of one value. */
function chunk(piece: number, begin: number, end: number, values: MessageInitShape<typeof ChunkSchema> = {}) {
  const data = new Uint8Array(end - begin).fill(piece + 1);
  return create(ChunkSchema, { piece, offset: BigInt(begin), data, crc32: crc32(data), ...values });
}

function receipt(piece: number, bytes: number, values: MessageInitShape<typeof PieceReceiptSchema> = {}) {
  const crc = crc32(new Uint8Array(bytes).fill(piece + 1));
  return create(PieceReceiptSchema, { piece, bytes: BigInt(bytes), crc32: crc, inputsNonFinite: [0n, 3n], ...values });
}

const corrupt = (message: string) =>
  expect.objectContaining({ code: "chunk_corrupt", message: expect.stringContaining(message) });

test("UnitCheck places chunks of interleaved pieces and returns their receipts in order", () => {
  const check = checkOf(streamed);
  expect(check.chunk(chunk(1, 0, 60_000))).toMatchObject({ file: 0, offset: 64 + 100 });
  expect(check.chunk(chunk(0, 0, 100))).toMatchObject({ file: 0, offset: 64 });
  expect(check.chunk(chunk(1, 60_000, 140_000))).toMatchObject({ offset: 64 + 100 + 60_000 });
  check.receipt(receipt(1, 140_000));
  check.receipt(receipt(0, 100));
  const { receipts } = check.finish();
  expect(receipts.map(({ tensor, begin, end, bytes }) => [tensor, begin, end, bytes])).toEqual([
    [0, 0, 50, 100],
    [1, 0, 70_000, 140_000],
  ]);
  expect(receipts[0]).toMatchObject({ crc32: receipt(0, 100).crc32, inputsNonFinite: [0, 3] });
});

test("UnitCheck refuses damaged, missing, repeated, overlapping and surplus bytes with their exact range", () => {
  const check = checkOf(streamed);
  check.chunk(chunk(0, 0, 40));
  const detail = { details: { unit: "4", epoch: "2", agent: '"fake"', tensor: "a" } };
  expect(() => check.chunk(chunk(0, 40, 50, { crc32: 1 }))).toThrow(corrupt('bytes [40, 50) of "a" damaged'));
  expect(() => check.chunk(chunk(0, 50, 60))).toThrow(corrupt('left out bytes [40, 50) of "a"'));
  expect(() => check.chunk(chunk(0, 50, 60))).toThrow(expect.objectContaining(detail));
  expect(() => check.chunk(chunk(0, 0, 40))).toThrow(corrupt('sent bytes [0, 40) of "a" again'));
  expect(() => check.chunk(chunk(0, 30, 50))).toThrow(corrupt('sent bytes [30, 50) of "a" again: 40 bytes were there'));
  expect(() => check.chunk(chunk(0, 40, 101))).toThrow(corrupt("beyond the end of the piece at 100"));
  expect(() => check.chunk(chunk(0, 40, 50, { offset: 2n ** 63n }))).toThrow(corrupt("chunk offset of"));
  expect(() => check.chunk(chunk(0, 40, 40))).toThrow(corrupt("without data"));
  expect(() => check.chunk(chunk(2, 0, 1))).toThrow(corrupt("a chunk for piece 2 of 2"));
});

test("UnitCheck refuses receipts that do not fit their bytes", () => {
  const check = checkOf(streamed);
  expect(() => check.receipt(receipt(0, 100))).toThrow(corrupt('left out bytes [0, 100) of "a"'));
  check.chunk(chunk(0, 0, 100));
  expect(() => check.receipt(receipt(0, 99))).toThrow(corrupt("has 99 bytes, not 100"));
  expect(() => check.receipt(receipt(0, 100, { crc32: 5 }))).toThrow(corrupt("its receipt 00000005"));
  expect(() => check.receipt(receipt(0, 100, { inputsNonFinite: [] }))).toThrow(corrupt("counted 0 inputs"));
  check.receipt(receipt(0, 100));
  expect(() => check.receipt(receipt(0, 100))).toThrow(corrupt('the receipt for "a" twice'));
});

test("UnitCheck refuses a stream that ends early", () => {
  const check = checkOf(streamed);
  check.chunk(chunk(0, 0, 100));
  expect(() => check.finish()).toThrow(corrupt('ended without the receipt for "a"'));
  check.receipt(receipt(0, 100));
  check.chunk(chunk(1, 0, 70_000));
  expect(() => check.finish()).toThrow(corrupt('left out bytes [70,000, 140,000) of "b"'));
});

test("UnitCheck wants receipts and no bytes of a unit that writes files", () => {
  const check = checkOf({ kind: "write", paths: ["/out"] });
  expect(() => check.chunk(chunk(0, 0, 100))).toThrow(corrupt("which nobody asked for"));
  expect(() => check.partial(create(GatheredPartialSchema))).toThrow(corrupt("statistics, which nobody asked for"));
  check.receipt(receipt(0, 100));
  expect(() => check.finish()).toThrow(corrupt('without the receipt for "b"'));
});

/** Gathers a sum, the upper bits of a k-th magnitude of the model, and a maximum of each tensor. */
function gatheringPlan() {
  const graph = new Graph();
  const [x, y] = [graph.input(), graph.input()];
  const output = x.plus(x.sumOver("tensor")).plus(y.kthMagnitude("model", 3)).plus(x.largestOver("tensor"));
  return { ...plan, programs: [graph.finish(output)] };
}

function partial(values: MessageInitShape<typeof GatheredPartialSchema>) {
  return create(GatheredPartialSchema, values);
}

const gathering = (): UnitCheck => checkOf({ kind: "gather", pass: 0 }, gatheringPlan());

test("UnitCheck collects statistics of every gather and every piece", () => {
  const check = gathering();
  check.partial(partial({ gather: 0, piece: 0, sums: [1] }));
  check.partial(partial({ gather: 0, piece: 1, sums: [2] }));
  check.partial(partial({ gather: 0, piece: 1, sums: [3] }));
  check.partial(partial({ gather: 1, bins: [7, 9], counts: [50n, 70_000n] }));
  check.partial(partial({ gather: 2, piece: 0, largest: Number.NaN }));
  check.partial(partial({ gather: 2, piece: 1, largest: 5 }));
  const { partials, receipts } = check.finish();
  expect(receipts).toEqual([]);
  expect(partials).toContainEqual({ gather: 0, piece: 1, kind: "sum", blocks: [2, 3] });
  expect(partials).toContainEqual({
    gather: 1,
    piece: undefined,
    kind: "upperBits",
    bins: [7, 9],
    counts: [50, 70_000],
  });
  expect(partials).toContainEqual({ gather: 2, piece: 0, kind: "largest", value: Number.NaN });
});

test("UnitCheck refuses statistics that cannot be true", () => {
  const check = gathering();
  const add = (values: MessageInitShape<typeof GatheredPartialSchema>) => () => check.partial(partial(values));
  expect(add({ gather: 3 })).toThrow(corrupt("statistic 3 of 3"));
  expect(add({ gather: 0, sums: [1] })).toThrow(corrupt("merged sums"));
  expect(add({ gather: 0, piece: 5, sums: [1] })).toThrow(corrupt("piece 5 of 2"));
  expect(add({ gather: 0, piece: 0, sums: [1, 2] })).toThrow(corrupt('more than 1 sums of "a"'));
  expect(add({ gather: 2, largest: 1 })).toThrow(corrupt("merged statistic 2 over tensors"));
  expect(add({ gather: 2, piece: 0 })).toThrow(corrupt("a maximum without its value"));
  expect(add({ gather: 1, bins: [1], counts: [1n] })).toThrow(corrupt("counted 1 magnitudes among 70050 elements"));
});

test("UnitCheck refuses counts that are not there, there twice, or out of range", () => {
  const counts = { bins: [1], counts: [70_050n] };
  const check = gathering();
  check.partial(partial({ gather: 1, ...counts }));
  expect(() => check.partial(partial({ gather: 1, ...counts }))).toThrow(corrupt('statistic 1 of "a" twice'));
  expect(() => check.finish()).toThrow(corrupt('ended without statistic 0 of "a"'));
  expect(() => gathering().partial(partial({ gather: 1, bins: [40_000], counts: [1n] }))).toThrow(
    corrupt("bins below"),
  );
  expect(() => gathering().partial(partial({ gather: 1, bins: [1, 2], counts: [1n] }))).toThrow(
    corrupt("1 counts for 2"),
  );
});
