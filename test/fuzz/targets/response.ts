import { crc32 } from "node:zlib";
import { create, type DescMessage, type MessageInitShape, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { readDescription } from "../../../coordinator/dispatch/agent-description.js";
import type { Agent, AgentClient } from "../../../coordinator/dispatch/agents.js";
import { runAttempt } from "../../../coordinator/dispatch/attempt.js";
import { locateFiles } from "../../../coordinator/dispatch/locate.js";
import { createRequestBuilder, type UnitRequest, type UnitTask } from "../../../coordinator/dispatch/request.js";
import { runSlice } from "../../../coordinator/evaluate/attempt.js";
import type { Measure } from "../../../coordinator/evaluate/types.js";
import { fetchRange } from "../../../coordinator/sources/fetch-range.js";
import {
  type BatchResultSchema,
  DescribeResponseSchema,
  EvaluateResponseSchema,
  LocateResponseSchema,
  MergeResponseSchema,
  ReadResponseSchema,
} from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { decoder } from "../../../shared/rpc/service-definition.js";
import { kernelsVersion, protocolVersion } from "../../../shared/rpc/version.js";
import { fakePlan, memorySink } from "../../support/dispatch.js";
import { mutateProtobuf } from "../mutate/protobuf.js";
import { assertHolds, type FuzzTarget, type Verdict, verdictOf } from "../target.js";
import { type Letter, pack, unpack } from "./envelope.js";
import { trimmed } from "./request-seeds.js";

const elements = 20;
const bytes = 2 * elements;
const plan = { ...fakePlan([{ name: "a", elements }]), programs: [trimmed()] };
const unit = { id: 1, pieces: [{ tensor: 0, begin: 0, end: elements }], bytesRead: 1, bytesWritten: 1 };

function unitRequest(task: UnitTask): UnitRequest {
  return createRequestBuilder(plan, "job")(unit, { epoch: 1, task });
}

/** Says what one agent answers, whatever it is asked. */
function agentSaying<Desc extends DescMessage>(schema: Desc, method: keyof AgentClient, said: readonly Uint8Array[]) {
  async function* answers(): AsyncGenerator<MessageShape<Desc>> {
    for (const message of said) yield decode(schema, message);
  }
  const once = async (): Promise<MessageShape<Desc>> => decode(schema, said[0]);
  const client = { [method]: method === "locate" ? once : answers } as unknown as AgentClient;
  return { name: "a", label: '"a"', address: "127.0.0.1:1", client } satisfies Pick<
    Agent,
    "name" | "label" | "address" | "client"
  >;
}

async function merge(task: UnitTask, said: readonly Uint8Array[]): Promise<void> {
  const sink = memorySink(plan);
  const { receipts, partials } = await runAttempt(agentSaying(MergeResponseSchema, "merge", said), unitRequest(task), {
    sink,
  });
  if (task.kind === "gather") assertHolds(partials.length > 0, "nothing was gathered");
  else assertHolds(receipts.length === 1 && receipts[0]?.bytes === bytes, "there is no receipt of its bytes");
  if (task.kind === "stream") {
    assertHolds(
      crc32(sink.bytes.subarray(64)) === receipts[0]?.crc32,
      "the output has other bytes than the receipt says",
    );
  }
}

async function evaluate(measure: Measure, said: readonly Uint8Array[]): Promise<void> {
  const slice = { id: 1, model: 0, task: 0, measure, batches: [0, 1], bytesRead: 1, bytesWritten: 0 };
  const expected = new Map([0, 1].map((batch) => [batch, { examples: 2, targets: 3 }]));
  const answered = new Set<number>();
  await runSlice(
    agentSaying(EvaluateResponseSchema, "evaluate", said),
    { slice, message: {}, expected },
    { onOutput: (batch) => void answered.add(batch) },
  );
  assertHolds(answered.size === 2, "a batch has no answer");
}

const vectors: Measure = { kind: "vectors", graph: "body" };
const likelihood: Measure = { kind: "likelihood" };
const generation: Measure = { kind: "generation", maxNewTokens: 4, stop: [] };

/** By number: what a coordinator does with all that it is sent in answer. */
const readers: readonly ((said: readonly Uint8Array[]) => unknown)[] = [
  (said) => merge({ kind: "stream", chunkBytes: 16 }, said),
  (said) => merge({ kind: "write", paths: ["/out"] }, said),
  (said) => merge({ kind: "gather", pass: 0 }, said),
  (said) => evaluate(vectors, said),
  (said) => evaluate(likelihood, said),
  (said) => evaluate(generation, said),
  (said) => readDescription("127.0.0.1:1", decode(DescribeResponseSchema, said[0])),
  (said) => locateFiles(agentSaying(LocateResponseSchema, "locate", said), [{ path: "/a" }, { path: "/b" }]),
  async (said) => {
    const file = { path: "/a", bytes: 100n, modifiedMs: 1 };
    const range = await fetchRange(agentSaying(ReadResponseSchema, "read", said).client, file, 10, 20);
    assertHolds(range.length === 20, "the range has another length");
  },
];

/** What a coordinator is sent by agents. All that is sent in answer to one call stands in one input. */
export const response: FuzzTarget = {
  name: "response",
  seeds: () => honest().map((letters) => pack(...letters)),
  mutate: mutateProtobuf(["cpu", "cuda", '"', "\u001b[2J", "\u202e", "x".repeat(200)]),
  run: async (input) => {
    const letters = unpack(input) ?? [];
    const to = letters[0]?.to ?? 0;
    const reader = readers[to - 1];
    if (reader === undefined) return "no response";
    return `${to} ${await answerTo(
      reader,
      letters.map(({ message }) => message),
    )}`;
  },
  covers:
    /^coordinator\/(?:dispatch\/(?:unit-check|partials-check|attempt|agent-description|locate|watchdog)|evaluate\/(?:wire|attempt)|sources\/fetch-range)/,
};

/** gRPC fails the call itself, whatever the decoder throws. */
class Undecodable extends Error {}

function decode<Desc extends DescMessage>(schema: Desc, message: Uint8Array = new Uint8Array()): MessageShape<Desc> {
  try {
    return decoder(schema)(message);
  } catch (error) {
    throw new Undecodable("It is no message", { cause: error });
  }
}

async function answerTo(reader: (typeof readers)[number], said: readonly Uint8Array[]): Promise<Verdict> {
  try {
    return await verdictOf(["chunk_corrupt", "usage"], () => reader(said));
  } catch (error) {
    if (error instanceof Undecodable) return "undecodable";
    throw error;
  }
}

/** What honest agents answer, by reader. */
function honest(): readonly (readonly Letter[])[] {
  const data = Uint8Array.from({ length: bytes }, (_, i) => i);
  const receipt = { piece: 0, bytes: BigInt(bytes), crc32: crc32(data), inputsNonFinite: [0n, 0n], largest: 2 };
  const chunks = [0, 16, 32].map((offset) => {
    const part = data.subarray(offset, offset + 16);
    return { case: "chunk" as const, value: { offset: BigInt(offset), data: part, crc32: crc32(part) } };
  });
  const progress = { case: "progress" as const, value: { bytesRead: 5n, bytesWritten: 6n, ioSeconds: 0.1 } };
  const partials = [
    { gather: 0, piece: 0, largest: 3 },
    { gather: 1, piece: 0, sums: [4] },
    { gather: 2, piece: 0, bins: [3, 4], counts: [10n, 10n] },
  ];
  const facts = { case: "facts" as const, value: { provider: "cpu", runtime: "1", peakBytes: 5n } };
  const results = (value: MessageInitShape<typeof BatchResultSchema>) =>
    [0, 1].map((batch) => ({ case: "result" as const, value: { batch, seconds: 1, ...value } }));
  const merged = (to: number, ...events: readonly MessageInitShape<typeof MergeResponseSchema>["event"][]) =>
    events.map((event) => letter(to, MergeResponseSchema, { event } as MessageInitShape<typeof MergeResponseSchema>));
  const evaluated = (to: number, ...events: readonly unknown[]) =>
    [facts, ...events].map((event) => {
      return letter(to, EvaluateResponseSchema, { event } as MessageInitShape<typeof EvaluateResponseSchema>);
    });
  return [
    merged(1, progress, ...chunks, { case: "receipt", value: receipt }),
    merged(2, progress, { case: "receipt", value: receipt }),
    merged(3, ...partials.map((value) => ({ case: "partial" as const, value }))),
    evaluated(4, ...results({ vectors: new Uint8Array(16), width: 2 })),
    evaluated(5, ...results({ logprobs: [-1, -2, -3], greedy: [true, false, true] })),
    evaluated(6, ...results({ generated: [{ tokens: [1, 2] }, { tokens: [3] }] })),
    [letter(7, DescribeResponseSchema, description)],
    [letter(8, LocateResponseSchema, { files: [1, 2], sharesOutput: true })],
    [10, 10].map(() => letter(9, ReadResponseSchema, { data: new Uint8Array(10), crc32: crc32(new Uint8Array(10)) })),
  ];
}

const description = {
  ...{ name: "a", version: "1", slots: 2, memoryBytes: 5n, roots: ["/"], protocol: protocolVersion },
  ...{ kernels: kernelsVersion, providers: ["cpu"], evalThreads: 2, trialMemoryBytes: 1n },
};

function letter<Desc extends DescMessage>(to: number, schema: Desc, message: MessageInitShape<Desc>): Letter {
  return { to, message: toBinary(schema, create(schema, message)) };
}
