import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { createRequestBuilder, type UnitTask } from "../../../coordinator/dispatch/request.js";
import type { Plan } from "../../../coordinator/plan/types.js";
import { Graph } from "../../../shared/expression/expression.js";
import type { Program } from "../../../shared/expression/program.js";
import {
  DescribeRequestSchema,
  EvaluateRequestSchema,
  FactorizeRequestSchema,
  KeepRequestSchema,
  ListRequestSchema,
  LocateRequestSchema,
  type MergeRequest,
  ReadRequestSchema,
  SourceFileSchema,
  TensorSourceSchema,
  TryRequestSchema,
} from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { fakePlan } from "../../support/dispatch.js";
import { caseOf } from "../../support/methods.js";

/** The one file that requests of seeds are about. */
export const sourceFile = { path: "/model/model.safetensors", bytes: 4_096n, modifiedMs: 1_000_000 } as const;

const leadership = { job: "job", fence: 3n };
const elements = 24;

/** The same program over one tensor, as its unit would be sent. */
function mergeRequest(program: Program, parameters: readonly number[], task: UnitTask): MergeRequest {
  const base = fakePlan([{ name: "w", elements }]);
  const plan: Plan = {
    ...base,
    programs: [program],
    sources: base.sources.map((source) => ({ ...source, path: sourceFile.path, bytes: 4_096, modifiedMs: 1_000_000 })),
    tensors: base.tensors.map((tensor) => ({
      ...tensor,
      shape: [4, 6],
      parameters,
      inputs: Array.from({ length: program.inputs }, (_, model) => {
        return { model, source: 0, offset: 64 * model, dtype: "BF16" as const, bytes: 2 * elements };
      }),
    })),
  };
  const unit = { id: 1, pieces: [{ tensor: 0, begin: 0, end: elements }], bytesRead: 1, bytesWritten: 1 };
  const request = createRequestBuilder(plan, "job", { fence: 3 })(unit, { epoch: 1, task }).message;
  const sources = [create(SourceFileSchema, { ...sourceFile, peers: ["127.0.0.1:4000"] })];
  return { ...request, sources };
}

const stream: UnitTask = { kind: "stream", chunkBytes: 1_000 };

/** Units of unlike programs: every kind of pass, of random number and of scope is among them. */
export function mergeRequests(): readonly MergeRequest[] {
  const two = [new Float32Array(elements), new Float32Array(elements)];
  const of = (method: string): MergeRequest => {
    const { program, parameters = [] } = caseOf(method, two, { hasBase: true });
    return mergeRequest(program, parameters, stream);
  };
  const graph = new Graph();
  const sum = graph.finish(graph.input().plus(graph.input()));
  return [
    mergeRequest(sum, [], stream),
    mergeRequest(sum, [], { kind: "write", paths: ["/out/model.safetensors"] }),
    ...["linear", "ties", "dare_ties", "slerp", "breadcrumbs", "della", "sce"].map(of),
    mergeRequest(trimmed(), [], { kind: "gather", pass: 0 }),
    withUpdates(mergeRequest(sum, [], stream)),
    withRows(mergeRequest(sum, [], stream)),
  ];
}

/** A program with a gather of every kind: a maximum, a sum and counts. */
export function trimmed(): Program {
  const graph = new Graph();
  const [x, y] = [graph.input(), graph.input()];
  const largest = x.abs().largestOver("tensor").plus(y.times(y).sumOver("tensor"));
  return graph.finish(x.abs().isAtLeast(x.kthMagnitude("tensor", 5)).choose(x.times(largest), y));
}

function withUpdates(request: MergeRequest): MergeRequest {
  const at = (offset: number) => ({ offset: BigInt(offset), dtype: "F32" });
  const updates = [{ a: at(512), b: at(1_024), rank: 2, scale: 0.5 }];
  return withInput(request, { dtype: "BF16", updates });
}

function withRows(request: MergeRequest): MergeRequest {
  const rows = {
    tensors: [{ dtype: "BF16" }, { dtype: "F32", offset: 256n }],
    tensorRows: [4n, 3n],
    segments: [
      { count: 2n, run: { tensor: 1, row: 1n } },
      { count: 1n },
      { count: 1n, terms: [{ rows: 2n, weight: 0.5 }] },
    ],
  };
  return withInput(request, { dtype: "BF16", rows });
}

function withInput(request: MergeRequest, input: MessageInitShape<typeof TensorSourceSchema>): MergeRequest {
  const first = create(TensorSourceSchema, input);
  return {
    ...request,
    pieces: request.pieces.map((piece) => ({ ...piece, inputs: [first, ...piece.inputs.slice(1)] })),
  };
}

const digest = new Uint8Array(32);
const graphs = [{ role: "body", model: Uint8Array.of(8, 9), bindings: [{ initializer: "a", tensor: "b" }] }];
const inputs = [
  { name: "x", dtype: "I64", shape: [2, 3], data: new Uint8Array(48) },
  { name: "y", dtype: "U8", shape: [2, 1], data: new Uint8Array(2), scale: [0.5], shift: [1] },
];

/** A request of every other kind, sound as far as it can be told without a model. */
export function otherRequests() {
  const source: MessageInitShape<typeof SourceFileSchema> = sourceFile;
  const model = { checkpoint: "/model", sources: [source], graphs, cache: [{ heads: 2, width: 8 }] };
  const [merge] = mergeRequests();
  const header = Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d);
  return {
    describe: toBinary(DescribeRequestSchema, create(DescribeRequestSchema, { leadership })),
    factorize: toBinary(
      FactorizeRequestSchema,
      create(FactorizeRequestSchema, {
        ...{
          tensor: "w",
          sources: [source],
          rows: 4n,
          columns: 6n,
          rank: 2,
          epsilon: 0.1,
          chunkBytes: 100,
          leadership,
        },
        ...{ matrix: { dtype: "F32" }, base: { dtype: "BF16", offset: 1_000n } },
      }),
    ),
    vectors: toBinary(
      EvaluateRequestSchema,
      create(EvaluateRequestSchema, {
        ...{ leadership, unit: 1, epoch: 1, model, threads: 1, batches: [{ inputs }, { batch: 1, inputs }] },
        measure: { case: "vectors", value: { graph: "body" } },
      }),
    ),
    likelihood: toBinary(
      EvaluateRequestSchema,
      create(EvaluateRequestSchema, {
        ...{ leadership, model, batches: [{ inputs, rows: [0, 1], targets: [2, 3] }] },
        measure: { case: "likelihood", value: {} },
      }),
    ),
    generation: toBinary(
      EvaluateRequestSchema,
      create(EvaluateRequestSchema, {
        ...{ leadership, model, batches: [{ inputs }] },
        measure: { case: "generation", value: { maxNewTokens: 4, stop: [1] } },
      }),
    ),
    trial: toBinary(
      TryRequestSchema,
      create(TryRequestSchema, {
        ...{ leadership, trial: 1, epoch: 1, threads: 1 },
        model: {
          ...{ digest, seed: 1n, sources: [source], programs: merge?.programs ?? [] },
          pieces: (merge?.pieces ?? []).map((piece) => ({ ...piece, outputFile: 0, outputOffset: 10n })),
          files: [{ name: "model.safetensors", header, bytes: 10n + 48n }],
        },
        tasks: [
          {
            task: 1,
            graphs: [{ role: "body", model: digest }],
            batches: [digest],
            measure: { case: "likelihood", value: {} },
          },
        ],
      }),
    ),
    keep: toBinary(KeepRequestSchema, create(KeepRequestSchema, { leadership, blobs: [digest, Uint8Array.of(1)] })),
    locate: toBinary(
      LocateRequestSchema,
      create(LocateRequestSchema, {
        leadership,
        files: [source, { path: "../x" }],
        probe: { path: "/out/probe", token: "t" },
      }),
    ),
    list: toBinary(ListRequestSchema, create(ListRequestSchema, { path: "/model" })),
    read: toBinary(ReadRequestSchema, create(ReadRequestSchema, { file: source, length: 64n, leadership })),
  };
}
