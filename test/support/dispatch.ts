import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Agents } from "../../coordinator/dispatch/agents.js";
import { type ChunkSink, runAttempt, type UnitResult } from "../../coordinator/dispatch/attempt.js";
import type { AttemptContext } from "../../coordinator/dispatch/dispatcher.js";
import { createRequestBuilder, type UnitTask } from "../../coordinator/dispatch/request.js";
import type { Plan, PlannedTensor, Unit } from "../../coordinator/plan/types.js";
import { type RunningAgent, runAgent } from "../../node-agent/main.js";
import { Graph } from "../../shared/expression/expression.js";
import {
  AgentService,
  type DescribeRequest,
  type DescribeResponseSchema,
  type MergeRequest,
} from "../../shared/gen/amalgam/v1/agent_pb.js";
import { serverOptions } from "../../shared/rpc/channel.js";
import { encodeMergeResponse, type MergeResponseInit } from "../../shared/rpc/chunk-encoder.js";
import { type Serialize, serviceDefinition } from "../../shared/rpc/service-definition.js";
import { toStatus } from "../../shared/rpc/status.js";
import { kernelsVersion, packageVersion, protocolVersion } from "../../shared/rpc/version.js";
import { pieceBytes, type Script } from "./fake-script.js";

export const fakeWorker = new URL("./fake-worker.js", import.meta.url);
export const fakeAgentEntry = new URL("./fake-agent-entry.js", import.meta.url);

/** A folder that is gone when the scope ends. */
export async function temporaryFolder() {
  const path = await realpath(await mkdtemp(join(tmpdir(), "amalgam-")));
  return {
    path,
    /** What fake workers with this root do from their next unit on. */
    script: (script: Script) => writeFile(join(path, "script.json"), JSON.stringify(script)),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** A real agent in this process with fake workers. */
export function startAgent(root: string, options: { slots?: number; name?: string } = {}): Promise<RunningAgent> {
  return runAgent({ roots: [root], worker: fakeWorker, slots: 2, ...options });
}

/** Tensors of BF16 in one file, one unit each. Nothing on disk stands behind it. */
export function fakePlan(tensors: readonly { name: string; elements: number }[]): Plan {
  const graph = new Graph();
  const program = graph.finish(graph.input().plus(graph.input()));
  const planned: PlannedTensor[] = [];
  let offset = 64;
  for (const { name, elements } of tensors) {
    const bytes = elements * 2;
    const inputs = [0, 1].map((source) => ({ model: source, source, offset: 0, dtype: "BF16" as const, bytes }));
    const shape = [elements];
    planned.push({ name, dtype: "BF16", shape, elements, bytes, program: 0, parameters: [], inputs, file: 0, offset });
    offset += bytes;
  }
  return {
    method: "fake",
    seed: 1,
    models: [],
    sources: [0, 1].map((model) => ({
      model,
      name: "model.safetensors",
      path: `/nowhere/${model}`,
      bytes: offset,
      headerSha256: "",
      modifiedMs: 0,
    })),
    programs: [program],
    tensors: planned,
    files: [{ name: "model.safetensors", header: new Uint8Array(64), bytes: offset }],
    companions: { configFrom: 0, configEdits: [], tokenizerFrom: 0, files: new Map(), withheld: [] },
    warnings: [],
    digest: "0".repeat(64),
  };
}

export function unitPerTensor(plan: Plan): readonly Unit[] {
  return plan.tensors.map((tensor, id) => ({
    id,
    pieces: [{ tensor: id, begin: 0, end: tensor.elements }],
    bytesRead: tensor.bytes * 2,
    bytesWritten: tensor.bytes,
  }));
}

/** An output file in memory that takes every byte once or more and knows which have come. */
export function memorySink(plan: Plan): ChunkSink & { readonly bytes: Uint8Array; chunks: number } {
  const bytes = new Uint8Array(plan.files[0]?.bytes ?? 0);
  return {
    bytes,
    chunks: 0,
    async write(_file, offset, data) {
      this.chunks += 1;
      bytes.set(data, offset);
    },
  };
}

/** What the output must be. */
export function expectedOutput(plan: Plan): Uint8Array {
  const bytes = new Uint8Array(plan.files[0]?.bytes ?? 0);
  for (const { name, elements, dtype, offset } of plan.tensors) bytes.set(pieceBytes(name, 0, elements, dtype), offset);
  return bytes;
}

/** What dispatch() runs a unit with. */
export function runner(
  plan: Plan,
  task: UnitTask,
  options: { sink?: ChunkSink; stallMs?: number } = {},
): (attempt: AttemptContext) => Promise<UnitResult> {
  const build = createRequestBuilder(plan, "test");
  return ({ unit, agent, epoch, signal, onProgress }) =>
    runAttempt(agent, build(unit, { epoch, task }), { signal, onProgress, ...options });
}

export const streamed: UnitTask = { kind: "stream", chunkBytes: 4096 };

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

type FakeCall = Pick<
  ServerWritableStream<MergeRequest, MergeResponseInit>,
  "request" | "cancelled" | "write" | "end" | "emit" | "on" | "once"
>;

/** An agent that answers with whatever the test says. `send` returns whether there is room for more. */
export async function startFakeServer(options: {
  merge: (request: MergeRequest, send: (response: MergeResponseInit) => boolean, call: FakeCall) => unknown;
  describe?: MessageInitShape<typeof DescribeResponseSchema>;
  /** May throw instead. */
  onDescribe?: (request: DescribeRequest) => void;
}) {
  const server = new Server(serverOptions);
  const described = {
    ...{ name: "fake", slots: 2, memoryBytes: 1n << 30n, roots: ["/"] },
    ...{ version: packageVersion(), protocol: protocolVersion, kernels: kernelsVersion },
  };
  const service: UntypedServiceImplementation = {
    describe: ({ request }: { request: DescribeRequest }, callback: sendUnaryData<unknown>) => {
      try {
        options.onDescribe?.(request);
        callback(null, { ...described, ...options.describe });
      } catch (error) {
        callback(toStatus(error));
      }
    },
    merge: async (call: FakeCall) => {
      try {
        await options.merge(call.request, (response) => call.write(response), call);
        call.end();
      } catch (error) {
        call.emit("error", toStatus(error));
      }
    },
  };
  server.addService(serviceDefinition(AgentService, { merge: encodeMergeResponse as Serialize }), service);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

/** The only agent of a set. */
export function only(agents: Agents) {
  const [agent] = agents.list;
  if (agent === undefined) throw new Error("There is no agent");
  return agent;
}
