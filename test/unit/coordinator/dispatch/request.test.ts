import { expect, test } from "vitest";
import { createRequestBuilder } from "../../../../coordinator/dispatch/request.js";
import type { Plan, PlannedInput, PlannedTensor, RowMap, Unit } from "../../../../coordinator/plan/types.js";
import { assertRequest } from "../../../../node-agent/check-request.js";
import { Graph } from "../../../../shared/expression/expression.js";
import { fakePlan, streamed } from "../../../support/dispatch.js";

const base = fakePlan([
  { name: "a", elements: 100 },
  { name: "b", elements: 200_000 },
]);

/** Two programs, two output files, and a source for every tensor. */
function plan(): Plan {
  const graph = new Graph();
  const [x, y] = [graph.input(), graph.input()];
  const trimmed = x.abs().isAtLeast(x.kthMagnitude("tensor", 5)).choose(x, y);
  const tensors = base.tensors.map((tensor, i) => ({
    ...tensor,
    program: i,
    file: i,
    offset: 8,
    inputs: tensor.inputs.map((input) => ({ ...input, source: i + 1 })),
  }));
  const file = { name: "f", header: new Uint8Array(8), bytes: 1_000_000 };
  const source = { ...base.sources[0], bytes: 1_000_000 } as Plan["sources"][number];
  return {
    ...base,
    programs: [...base.programs, graph.finish(trimmed)],
    tensors,
    files: [file, { ...file, name: "g" }],
    sources: ["/0", "/1", "/2"].map((path) => ({ ...source, path })),
  };
}

function unit(...pieces: Unit["pieces"]): Unit {
  return { id: 7, pieces, bytesRead: 0, bytesWritten: 0 };
}

test("a request carries only the sources, programs and files that its unit needs", () => {
  const build = createRequestBuilder(plan(), "job");
  const task = { kind: "write", paths: ["/out/f", "/out/g"] } as const;
  const { message, pieces } = build(unit({ tensor: 1, begin: 0, end: 200_000 }), { epoch: 3, task });
  assertRequest(message);
  expect(message).toMatchObject({ job: "job", unit: 7, epoch: 3, seed: 1n });
  expect(message.sources.map(({ path }) => path)).toEqual(["/2"]);
  expect(message.programs).toHaveLength(1);
  expect(message.programs[0]?.nodes.map(({ op }) => op)).toContain("kthMagnitude");
  expect(message.task).toMatchObject({ case: "writeFiles", value: { paths: ["/out/g"] } });
  expect(message.pieces[0]).toMatchObject({ program: 0, outputFile: 0, outputOffset: 8n, modelElements: 200_000n });
  expect(pieces[0]).toMatchObject({ tensor: "b", file: 1, offset: 8, bytes: 400_000, inputs: 2 });
});

test("a piece within a tensor has its place in the output", () => {
  const build = createRequestBuilder(base, "job");
  const { message, pieces } = build(unit({ tensor: 1, begin: 65_536, end: 131_072 }), { epoch: 1, task: streamed });
  assertRequest(message);
  expect(pieces[0]).toMatchObject({ bytes: 131_072, offset: 64 + 200 + 131_072 });
  expect(message.pieces[0]?.outputOffset).toBe(BigInt(64 + 200 + 131_072));
});

test("a piece of a cut tensor takes the statistics that were gathered, and is refused without", () => {
  const build = createRequestBuilder(plan(), "job");
  const cut = unit({ tensor: 1, begin: 0, end: 65_536 });
  expect(() => build(cut, { epoch: 1, task: streamed })).toThrow('The statistics of "b" have not been gathered');
  const { message } = build(cut, { epoch: 1, task: streamed, statistics: new Map([[1, [1, 2, 3]]]) });
  assertRequest(message);
  expect(message.pieces[0]?.statistics).toEqual([1, 2, 3]);
});

test("a gathering unit sends NaN for what is not known yet", () => {
  const build = createRequestBuilder(plan(), "job");
  const { message } = build(unit({ tensor: 1, begin: 0, end: 65_536 }), {
    epoch: 1,
    task: { kind: "gather", pass: 0 },
  });
  assertRequest(message);
  expect(message.pieces[0]?.statistics).toEqual([Number.NaN, Number.NaN, Number.NaN]);
});

test("a whole tensor's statistics are the agent's own affair", () => {
  const build = createRequestBuilder(plan(), "job");
  const { message } = build(unit({ tensor: 1, begin: 0, end: 200_000 }), { epoch: 1, task: streamed });
  expect(message.pieces[0]?.statistics).toEqual([]);
});

const stored = { source: 0, offset: 64, dtype: "F16", bytes: 2_000 } as const;

/** The plan above, its tensors as matrices of ten columns, with another second input. */
function planWith(input: Partial<PlannedInput>, rest: Partial<PlannedTensor> = {}): Plan {
  const tensors = base.tensors.map((tensor) => {
    const [first] = tensor.inputs;
    return {
      ...tensor,
      shape: [tensor.elements / 10, 10],
      inputs: [...(first === undefined ? [] : [first]), { ...stored, model: 1, ...input }],
      ...rest,
    };
  });
  const source = { ...base.sources[0], bytes: 1_000_000 } as Plan["sources"][number];
  return { ...base, tensors, sources: ["/0", "/1", "/2", "/3"].map((path) => ({ ...source, path })) };
}

test("a low-rank update brings its factors and their files", () => {
  const a = { ...stored, source: 3 };
  const update = { a, b: { ...a, offset: 600, dtype: "F32" }, rank: 2, scale: 1.5, transposed: true } as const;
  const build = createRequestBuilder(planWith({ updates: [update] }), "job");
  const { message } = build(unit({ tensor: 0, begin: 0, end: 100 }), { epoch: 1, task: streamed });
  assertRequest(message);
  expect(message.sources.map(({ path }) => path)).toEqual(["/0", "/3"]);
  expect(message.pieces[0]?.inputs[1]).toMatchObject({
    file: 0,
    dtype: "F16",
    updates: [{ a: { file: 1, offset: 64n }, b: { file: 1, offset: 600n }, rank: 2, scale: 1.5, transposed: true }],
  });
});

/** 20,000 rows: a run, a combination, zeros, then rows in the opposite order. */
const mapped: RowMap = {
  columns: 10,
  tensors: [1, 2, 3].map((source) => ({ ...stored, source, rows: 15_000 })),
  segments: [
    { kind: "run", count: 4_000, tensor: 2, row: 7 },
    { kind: "combination", count: 1_500, terms: [{ tensor: 1, row: 3, rows: 2, weight: 0.5 }] },
    { kind: "zero", count: 500 },
    ...Array.from({ length: 14_000 }, (_, i) => ({ kind: "run", count: 1, tensor: 0, row: 13_999 - i }) as const),
  ],
};

/** Rows from elements, with the files that are sent for them. */
function clipped(begin: number, end: number) {
  const build = createRequestBuilder(planWith({ rows: mapped }), "job");
  const { message } = build(unit({ tensor: 1, begin, end }), { epoch: 1, task: streamed });
  assertRequest(message);
  const rows = message.pieces[0]?.inputs[1]?.rows;
  return {
    files: message.sources.map(({ path }) => path),
    tensors: rows?.tensors.map(({ file }) => message.sources[file]?.path),
    firstRow: Number(rows?.firstRow),
    segments: rows?.segments.map(({ count, run, terms }) => {
      if (run !== undefined) return `${count} of ${run.tensor} from ${run.row}`;
      const sums = terms.map(({ tensor, row, rows, weight }) => `${weight} x ${rows} of ${tensor} from ${row}`);
      return `${count} ${sums.length === 0 ? "zero" : sums.join(" + ")}`;
    }),
  };
}

test("a row map is cut to the rows that a piece touches, with the tensors that they come from", () => {
  expect(clipped(0, 25)).toEqual({ files: ["/0", "/3"], tensors: ["/3"], firstRow: 0, segments: ["3 of 0 from 7"] });
  // From the middle of row 3,999 to the middle of row 4,001.
  expect(clipped(39_995, 40_015)).toMatchObject({
    tensors: ["/3", "/2"],
    firstRow: 3_999,
    segments: ["1 of 0 from 4006", "2 0.5 x 2 of 1 from 3"],
  });
  expect(clipped(54_990, 60_000)).toMatchObject({
    tensors: ["/2"],
    firstRow: 5_499,
    segments: ["1 0.5 x 2 of 0 from 3", "500 zero"],
  });
  expect(clipped(55_000, 55_010)).toEqual({ files: ["/0"], tensors: [], firstRow: 5_500, segments: ["1 zero"] });
  expect(clipped(100_010, 100_020)).toMatchObject({ tensors: ["/1"], segments: ["1 of 0 from 9998"] });
  expect(clipped(199_990, 200_000)).toMatchObject({ firstRow: 19_999, segments: ["1 of 0 from 0"] });
  const { segments = [] } = clipped(0, 200_000);
  expect(segments).toHaveLength(14_003);
});

test("random streams are sent where a tensor has its own, and else left to the agent", () => {
  const own = [{ seed: 5, tensor: "other", stream: 2 }];
  const task = { epoch: 1, task: streamed };
  const piece = unit({ tensor: 0, begin: 0, end: 100 });
  const { message } = createRequestBuilder(planWith({}, { randomStreams: own }), "job")(piece, task);
  assertRequest(message);
  expect(message.pieces[0]?.randomStreams).toMatchObject([{ seed: 5n, tensor: "other", stream: 2 }]);
  expect(createRequestBuilder(base, "job")(piece, task).message.pieces[0]?.randomStreams).toEqual([]);
});

test("a request names its leader, and of each source where it is and who else has it", () => {
  const build = createRequestBuilder(plan(), "job", {
    fence: 12,
    peersOf: (source) => (source === 2 ? ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"] : []),
    placeOf: (source) => (source === 2 ? { path: "/there/2", modifiedMs: 5.5 } : undefined),
  });
  const task = { epoch: 1, task: streamed };
  const { message } = build(unit({ tensor: 1, begin: 0, end: 200_000 }), task);
  expect(message.fence).toBe(12n);
  // Unit 7 begins with the second of three, unit 8 with the third.
  const peers = ["10.0.0.2:1", "10.0.0.3:1", "10.0.0.1:1"];
  expect(message.sources).toMatchObject([{ path: "/there/2", modifiedMs: 5.5, bytes: 1_000_000n, peers }]);
  const next = build({ ...unit({ tensor: 1, begin: 0, end: 200_000 }), id: 8 }, task).message;
  expect(next.sources[0]?.peers[0]).toBe("10.0.0.3:1");
});

test("a file on a server is named by its URL, with what tells its state, and no peers", () => {
  const url = "https://host/model.safetensors";
  const task = { epoch: 1, task: streamed };
  const headerSha256 = "ab".repeat(32);
  const planned = { ...plan(), sources: plan().sources.map((source) => ({ ...source, headerSha256 })) };
  const sourceAt = (version: string | undefined) => {
    const placeOf = () => ({ path: url, modifiedMs: 0, version });
    const build = createRequestBuilder(planned, "job", { peersOf: () => ["10.0.0.1:1"], placeOf });
    return build(unit({ tensor: 1, begin: 0, end: 200_000 }), task).message.sources[0];
  };
  expect(sourceAt('"v1"')).toMatchObject({ path: url, bytes: 1_000_000n, version: '"v1"', peers: [] });
  const nameless = sourceAt(undefined);
  expect(nameless).toMatchObject({ path: url, version: "", peers: [] });
  expect(Buffer.from(nameless?.headerSha256 ?? []).toString("hex")).toBe(headerSha256);
});

test("a request names no more peers than anybody would ask", () => {
  const many = Array.from({ length: 500 }, (_, i) => `10.0.0.1:${i + 1}`);
  const build = createRequestBuilder(plan(), "job", { peersOf: () => many });
  const { message } = build(unit({ tensor: 1, begin: 0, end: 200_000 }), { epoch: 1, task: streamed });
  expect(message.sources[0]?.peers).toEqual(many.slice(7, 23));
});
