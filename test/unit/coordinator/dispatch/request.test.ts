import { expect, test } from "vitest";
import { createRequestBuilder } from "../../../../coordinator/dispatch/request.js";
import type { Plan, Unit } from "../../../../coordinator/plan/types.js";
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
