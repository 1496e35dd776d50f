import { clone, create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { createRequestBuilder } from "../../../coordinator/dispatch/request.js";
import { assertRequest } from "../../../node-agent/check-request.js";
import { type MergeRequest, MergeRequestSchema, TensorSourceSchema } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { fakePlan, streamed, unitPerTensor } from "../../support/dispatch.js";

const plan = fakePlan([{ name: "a", elements: 1_000 }]);
const [unit] = unitPerTensor(plan);
if (unit === undefined) throw new Error("The plan has no unit");
const good = createRequestBuilder(plan, "job")(unit, { epoch: 1, task: streamed }).message;

function refusal(change: (request: MergeRequest) => void): string {
  const request = clone(MergeRequestSchema, good);
  change(request);
  try {
    assertRequest(request);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "accepted";
}

/** Changes the only piece. */
function piece(values: Partial<MergeRequest["pieces"][number]>): (request: MergeRequest) => void {
  return ({ pieces }) => void Object.assign(pieces[0] ?? {}, values);
}

test("assertRequest() accepts what the coordinator builds", () => {
  expect(refusal(() => undefined)).toBe("accepted");
});

test("assertRequest() refuses a request that contradicts itself", () => {
  const source = create(TensorSourceSchema, { file: 0, offset: 0n, dtype: "BF16" });
  const cases: [(request: MergeRequest) => void, string][] = [
    [(request) => void Object.assign(request, { pieces: [] }), "it has no pieces"],
    [(request) => void Object.assign(request, { task: { case: undefined } }), "no task"],
    [(request) => void Object.assign(request, { seed: 2n ** 60n }), "seed"],
    [
      ({ sources }) => void Object.assign(sources[0] ?? {}, { peers: ["nowhere"] }),
      'Cannot use "nowhere" as an address',
    ],
    [
      ({ sources }) => void Object.assign(sources[0] ?? {}, { peers: new Array(1_001).fill("127.0.0.1:1") }),
      "is said to be at 1001 agents, the limit is 1000",
    ],
    [
      ({ sources }) => void Object.assign(sources[0] ?? {}, { peers: ["127.0.0.1:1"], peerNames: ["a", "b"] }),
      "has 2 names for 1 agents",
    ],
    [piece({ program: 9 }), "runs program 9 of 1"],
    [piece({ begin: 5n, end: 4n }), "elements [5, 4) of 1000"],
    [piece({ end: 1_001n }), "elements [0, 1001) of 1000"],
    [piece({ shape: [2n ** 40n, 2n ** 40n] }), "above the limit"],
    [piece({ inputs: [source] }), "1 inputs, its program 2"],
    [piece({ inputs: [source, { ...source, file: 4 }] }), "source file 4 of 2"],
    [piece({ inputs: [source, { ...source, dtype: "F99" }] }), 'dtype "F99"'],
    [piece({ inputs: [source, { ...source, offset: 2n ** 62n }] }), "2000 bytes at 4611686018427387904"],
    [piece({ parameters: [1] }), "1 parameters, its program 0"],
    [piece({ outputDtype: "text" }), 'the dtype "text"'],
    [piece({ statistics: [Number.NaN] }), "1 statistics, its program 0"],
  ];
  for (const [change, message] of cases) expect(refusal(change)).toContain(message);
});

test("assertRequest() bounds chunks and checks output files", () => {
  const stream = (chunkBytes: number) => (request: MergeRequest) =>
    void Object.assign(request.task, { value: { chunkBytes } });
  expect(refusal(stream(0))).toContain("chunks of 0 bytes");
  expect(refusal(stream(1 << 30))).toContain("not between 1 and");
  const write = ({ task }: MergeRequest): void =>
    void Object.assign(task, { case: "writeFiles", value: { paths: [] } });
  expect(refusal(write)).toContain('"a" goes to file 0 of 0');
});

test("assertRequest() refuses a statistics pass that the program does not have", () => {
  const gather = ({ task }: MergeRequest): void =>
    void Object.assign(task, { case: "gatherStatistics", value: { pass: 0 } });
  expect(refusal(gather)).toContain("statistics pass 0 of 0");
});
