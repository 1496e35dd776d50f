import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Measure } from "../../../../coordinator/evaluate/types.js";
import { batchMessage, measureMessage, readResult } from "../../../../coordinator/evaluate/wire.js";
import { BatchResultSchema } from "../../../../shared/gen/amalgam/v1/agent_pb.js";

const vectors: Measure = { kind: "vectors", graph: "body" };
const likelihood: Measure = { kind: "likelihood" };
const generation: Measure = { kind: "generation", maxNewTokens: 2, stop: [5] };

type Init = MessageInitShape<typeof BatchResultSchema>;

function read(init: Init, measure: Measure, expected: { examples: number; targets: number }) {
  return readResult(create(BatchResultSchema, { batch: 3, ...init }), measure, expected, '"a" at 127.0.0.1:1');
}

test("a measure says what its graphs need, and the start of a decoder only where there is one", () => {
  expect(measureMessage(vectors, undefined)).toEqual({ case: "vectors", value: { graph: "body", output: "" } });
  expect(measureMessage({ ...vectors, output: "pooled" }, 1)).toMatchObject({ value: { output: "pooled" } });
  expect(measureMessage(generation, undefined)).toEqual({
    case: "generation",
    value: { maxNewTokens: 2, stop: [5] },
  });
  expect(measureMessage(generation, 0)).toMatchObject({ value: { decoderStart: 0 } });
});

test("a batch has its inputs by name, and its targets", () => {
  const data = new Uint8Array(8);
  const input = { dtype: "I32", shape: [1, 2], data } as const;
  const targets = { rows: Uint32Array.of(0, 1), tokens: Uint32Array.of(7, 8) };
  expect(batchMessage(4, { inputs: new Map([["input_ids", input]]), targets })).toEqual({
    batch: 4,
    inputs: [{ name: "input_ids", dtype: "I32", shape: [1, 2], data, scale: [], shift: [] }],
    rows: [0, 1],
    targets: [7, 8],
  });
});

test("vectors are read wherever in a message they lie, and outlive it", () => {
  const message = new Uint8Array(17);
  message.set(new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer), 1);
  const output = read({ width: 2, vectors: message.subarray(1) }, vectors, { examples: 2, targets: 0 });
  message.fill(0);
  expect(output).toEqual({ kind: "vectors", width: 2, values: Float32Array.of(1, 2, 3, 4) });
});

test("log-probabilities and continuations are read", () => {
  expect(read({ logprobs: [-1.5, -2], greedy: [true, false] }, likelihood, { examples: 1, targets: 2 })).toEqual({
    kind: "likelihood",
    logprobs: Float32Array.of(-1.5, -2),
    greedy: Uint8Array.of(1, 0),
  });
  const generated = [{ tokens: [1, 2] }, { tokens: [] }];
  expect(read({ generated }, generation, { examples: 2, targets: 0 })).toEqual({
    kind: "generation",
    tokens: [Uint32Array.of(1, 2), new Uint32Array()],
  });
});

test.each<readonly [string, Init, Measure, string]>([
  ["half a number", { width: 1, vectors: new Uint8Array(7) }, vectors, "7 bytes for 2 vectors of 1 numbers"],
  ["vectors of one example", { width: 2, vectors: new Uint8Array(8) }, vectors, "8 bytes for 2 vectors of 2 numbers"],
  ["nothing", {}, likelihood, "0 log-probabilities of 3 tokens"],
  ["what was not asked for", { generated: [{ tokens: [1] }] }, likelihood, "0 log-probabilities of 3 tokens"],
  ["unlike counts", { logprobs: [1, 2, 3], greedy: [true] }, likelihood, "log-probabilities of 3 tokens"],
  ["too few continuations", { generated: [{ tokens: [1] }] }, generation, "1 of 2 continuations"],
  [
    "too long a continuation",
    { generated: [{ tokens: [1, 2, 3] }, { tokens: [] }] },
    generation,
    'a continuation of more than "2" tokens',
  ],
])("a result is refused that has %s", (_, result, measure, says) => {
  const act = () => read(result, measure, { examples: 2, targets: 3 });
  expect(act).toThrow(`Agent "a" at 127.0.0.1:1 sent a wrong result of batch 3: `);
  expect(act).toThrow(says);
  expect(act).toThrow(expect.objectContaining({ code: "chunk_corrupt" }));
});
