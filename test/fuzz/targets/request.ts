import { toBinary } from "@bufbuild/protobuf";
import { assertRequest } from "../../../node-agent/check-request.js";
import { assertEvaluateRequest } from "../../../node-agent/evaluate/check-request.js";
import { assertFactorizeRequest } from "../../../node-agent/factorize/check-request.js";
import { Fences, type Order } from "../../../node-agent/fences.js";
import { listFolder } from "../../../node-agent/files/list.js";
import { locateFiles } from "../../../node-agent/files/locate.js";
import { RangeReader } from "../../../node-agent/files/read-range.js";
import { assertKeepRequest, assertTryRequest } from "../../../node-agent/trials/check-request.js";
import { operators } from "../../../shared/expression/program.js";
import {
  DescribeRequestSchema,
  EvaluateRequestSchema,
  FactorizeRequestSchema,
  KeepRequestSchema,
  ListRequestSchema,
  LocateRequestSchema,
  MergeRequestSchema,
  ReadRequestSchema,
  TryRequestSchema,
} from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { decoder } from "../../../shared/rpc/service-definition.js";
import { mutateProtobuf } from "../mutate/protobuf.js";
import { assertHolds, type FuzzTarget, type Verdict, verdictOf } from "../target.js";
import { pack, unpack } from "./envelope.js";
import { mergeRequests, otherRequests } from "./request-seeds.js";
import { confined, executeSmall, placed } from "./tiny-worker.js";

const ranges = new RangeReader(confined, undefined);

/** Who reads a request: what decodes it, and what it then goes through before it is trusted. */
const readers: readonly ((bytes: Uint8Array) => () => unknown)[] = [
  (bytes) => {
    const request = decoder(MergeRequestSchema)(bytes);
    return () => {
      assertLed(request);
      assertRequest(request);
      executeSmall(request);
    };
  },
  (bytes) => led(decoder(DescribeRequestSchema)(bytes)),
  (bytes) => {
    const request = decoder(FactorizeRequestSchema)(bytes);
    return () => assertFactorizeRequest(request);
  },
  (bytes) => {
    const request = decoder(EvaluateRequestSchema)(bytes);
    return () => assertEvaluateRequest(request);
  },
  (bytes) => {
    const request = decoder(TryRequestSchema)(bytes);
    return () => assertTryRequest(request);
  },
  (bytes) => {
    const request = decoder(KeepRequestSchema)(bytes);
    return () => assertKeepRequest(request);
  },
  (bytes) => {
    const request = decoder(LocateRequestSchema)(bytes);
    return async () => {
      for (const file of request.files) file.path = placed(file.path);
      const { files } = await locateFiles(request, confined);
      assertHolds(files?.length === request.files.length, "not every file has a state");
    };
  },
  (bytes) => {
    const request = decoder(ListRequestSchema)(bytes);
    return () => listFolder(placed(request.path), confined);
  },
  (bytes) => {
    const request = decoder(ReadRequestSchema)(bytes);
    if (request.file) request.file.path = placed(request.file.path);
    return async () => {
      let sent = 0n;
      const send = async (response: { data?: Uint8Array }): Promise<void> => {
        sent += BigInt(response.data?.length ?? 0);
      };
      await ranges.read(request, { signal: new AbortController().signal, send });
      assertHolds(sent === request.length, `${sent} bytes were sent of ${request.length}`);
    };
  },
];

/** What an agent is sent: decoded, checked, and where it is small also done. */
export const request: FuzzTarget = {
  name: "request",
  seeds: () => {
    const { describe, factorize, vectors, likelihood, generation, trial, keep, locate, list, read } = otherRequests();
    const others = [
      [describe],
      [factorize],
      [vectors, likelihood, generation],
      [trial],
      [keep],
      [locate],
      [list],
      [read],
    ];
    return [
      ...mergeRequests().map((message) => pack({ to: 1, message: toBinary(MergeRequestSchema, message) })),
      ...others.flatMap((messages, i) => messages.map((message) => pack({ to: 2 + i, message }))),
    ];
  },
  mutate: mutateProtobuf([
    ...operators,
    ...["F32", "BF16", "F16", "F64", "I64", "F4", "F8_E4M3", "U8", "BOOL", "f32", "body", "head", "step", "encoder"],
    ...[
      "/model/model.safetensors",
      "/etc/passwd",
      "../../etc/passwd",
      "/model/../../x",
      "127.0.0.1:1",
      "[::1]:1",
      "a\0b",
    ],
    ...[
      "https://host/m/x.safetensors",
      "s3://bucket/m",
      "hf://owner/name",
      "job",
      "x.safetensors",
      "\u001b[2J",
      "\u202e",
    ],
  ]),
  run: async (input) => {
    const [letter] = unpack(input) ?? [];
    const read = readers[(letter?.to ?? 0) - 1];
    return letter === undefined || read === undefined
      ? "no request"
      : `${letter.to} ${await answerTo(read, letter.message)}`;
  },
  covers:
    /^(?:node-agent\/(?:check-request|roots|fences|inputs|files\/(?:list|locate|read-range|resolve)|.*check-request|piece|execute)|shared\/(?:rpc\/program|expression\/(?:passes|program|division)))/,
};

/** gRPC answers what cannot be decoded itself, and does not mind what the decoder throws. */
async function answerTo(read: (typeof readers)[number], message: Uint8Array): Promise<Verdict> {
  let act: () => unknown;
  try {
    act = read(message);
  } catch {
    return "undecodable";
  }
  const refusals = ["usage", "path_refused", "fenced", "checkpoint_changed", "checkpoint_malformed"] as const;
  return verdictOf([...refusals, "io_failed", "out_of_memory", "source_refused", "agent_lost"], act);
}

function assertLed(order: Order): void {
  using _ = new Fences({ agent: "fuzzed" }).admit(order);
}

function led({ leadership }: { leadership?: Order | undefined }): () => void {
  return () => {
    if (leadership !== undefined) assertLed(leadership);
  };
}
