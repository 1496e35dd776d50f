import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { assertEvaluateRequest } from "../../../../node-agent/evaluate/check-request.js";
import {
  EvaluatedModelSchema,
  EvaluateRequestSchema,
  EvaluationBatchSchema,
  GenerationSchema,
  InputTensorSchema,
} from "../../../../shared/gen/amalgam/v1/agent_pb.js";

type Init<Schema extends Parameters<typeof create>[0]> = MessageInitShape<Schema>;

function model(changes: Init<typeof EvaluatedModelSchema> = {}) {
  const graphs = [{ role: "body", model: Uint8Array.of(1) }];
  return create(EvaluatedModelSchema, { checkpoint: "/m", sources: [{ path: "/m/a" }], graphs, ...changes });
}

function input(changes: Init<typeof InputTensorSchema> = {}) {
  const defaults = { name: "x", dtype: "U8", shape: [2, 3], data: new Uint8Array(6) };
  return create(InputTensorSchema, { ...defaults, ...changes });
}

function batch(changes: Init<typeof EvaluationBatchSchema> = {}) {
  return create(EvaluationBatchSchema, { inputs: [input()], ...changes });
}

function request(changes: Init<typeof EvaluateRequestSchema> = {}) {
  const measure = { case: "vectors", value: { graph: "body" } } as const;
  return create(EvaluateRequestSchema, { model: model(), measure, batches: [batch()], ...changes });
}

function generation(changes: Init<typeof GenerationSchema> = {}) {
  return { case: "generation", value: create(GenerationSchema, { maxNewTokens: 5, ...changes }) } as const;
}

const likelihood = { case: "likelihood", value: {} } as const;

test("a request that agrees with itself is taken", () => {
  expect(() => assertEvaluateRequest(request())).not.toThrow();
  const targets = { rows: [5, 0], targets: [9, 9] };
  expect(() => assertEvaluateRequest(request({ measure: likelihood, batches: [batch(targets)] }))).not.toThrow();
  expect(() => assertEvaluateRequest(request({ measure: generation() }))).not.toThrow();
});

const graph = (role: string) => ({ role, model: Uint8Array.of(1) });

test.each([
  ["no model", create(EvaluateRequestSchema, {}), "it names no model"],
  ["no measure", request({ measure: { case: undefined } }), "no measure that this agent knows"],
  ["no files", request({ model: model({ sources: [] }) }), "number of weight files of 0"],
  ["a misspelt graph", request({ model: model({ graphs: [graph("haed")] }) }), '"haed", did you mean "head"?'],
  ["an empty graph", request({ model: model({ graphs: [{ role: "body" }] }) }), 'the graph "body" is empty'],
  ["a graph twice", request({ model: model({ graphs: [graph("body"), graph("body")] }) }), 'the graph "body" twice'],
  ["a cache without heads", request({ model: model({ cache: [{ heads: 0, width: 1 }] }) }), "heads of 0"],
  [
    "a graph that is not there",
    request({ measure: { case: "vectors", value: { graph: "text" } } }),
    'wants the graph "text"',
  ],
  [
    "a step without a head",
    request({ model: model({ graphs: [graph("step")], cache: [{ heads: 1, width: 1 }] }), measure: generation() }),
    '"head"',
  ],
  [
    "a step without a cache",
    request({ model: model({ graphs: [graph("step"), graph("head")] }), measure: generation() }),
    "no cache slots",
  ],
  ["a decoder without an encoder", request({ measure: generation({ decoderStart: 0 }) }), '"encoder"'],
  ["no new tokens", request({ measure: generation({ maxNewTokens: 0 }) }), "new tokens of 0"],
  ["too many new tokens", request({ measure: generation({ maxNewTokens: 40_000 }) }), "between 1 and 32768"],
  ["too many stop tokens", request({ measure: generation({ stop: Array<number>(1_025).fill(1) }) }), "of 1025"],
  ["no batches", request({ batches: [] }), "number of batches of 0"],
  ["a batch twice", request({ batches: [batch({ batch: 3 }), batch({ batch: 3 })] }), 'the batch "3" twice'],
  ["no inputs", request({ batches: [batch({ inputs: [] })] }), "inputs of batch 0 of 0"],
  ["an input twice", request({ batches: [batch({ inputs: [input(), input()] })] }), '"x" twice'],
  ["rows without targets", request({ batches: [batch({ rows: [1] })] }), "1 rows and 0 targets"],
])("a request with %s is refused", (_, broken, problem) => {
  expect(() => assertEvaluateRequest(broken)).toThrow(problem);
});

test.each([
  ["another dtype", { dtype: "F64" }, 'has the dtype "F64"'],
  ["a dtype that is a property of objects", { dtype: "toString" }, 'has the dtype "toString"'],
  ["bytes for another shape", { shape: [2, 4] }, "is [2, 4] of U8, 8 bytes, and has 6"],
  ["no shape", { shape: [] }, "number of examples"],
  ["no examples", { shape: [0, 3], data: new Uint8Array(0) }, "number of examples of batch 0 of 0"],
  ["too many examples", { shape: [5_000], data: new Uint8Array(5_000) }, "5000 is not between 1 and 4096"],
  ["too many dimensions", { shape: [1, 1, 1, 1, 1, 1, 6] }, "has 7 dimensions"],
  ["sizes that overflow", { shape: [2, 2 ** 31, 2 ** 31] }, "elements, the limit is"],
  ["scales for other channels", { scale: [1, 1], shift: [0, 0] }, "2 scales and 2 shifts for 3 channels"],
  ["a scale without a shift", { scale: [1, 1, 1] }, "3 scales and 0 shifts"],
  ["a scale that is not finite", { scale: [1, 1, Number.NaN], shift: [0, 0, 0] }, "not finite"],
  ["a scale of floats", { dtype: "F32", data: new Uint8Array(24), scale: [1, 1, 1], shift: [0, 0, 0] }, "not U8"],
  ["no name", { name: "" }, "length of the name"],
])("an input with %s is refused", (_, changes, problem) => {
  const broken = request({ batches: [batch({ inputs: [input(changes)] })] });
  expect(() => assertEvaluateRequest(broken)).toThrow(problem);
});

test("inputs of one batch have the same examples", () => {
  const other = input({ name: "y", shape: [3, 2] });
  const broken = request({ batches: [batch({ inputs: [input(), other] })] });
  expect(() => assertEvaluateRequest(broken)).toThrow('"y" of batch 0 has 3 examples, the first input 2');
});
