import { connect as connectHttp2 } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { createRequestBuilder } from "../../../coordinator/dispatch/request.js";
import { runAgent } from "../../../node-agent/agent.js";
import { AgentService, MergeRequestSchema, ReadRequestSchema } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { createClient } from "../../../shared/rpc/client.js";
import { guardServer } from "../../../shared/rpc/server/guard.js";
import { serviceDefinition } from "../../../shared/rpc/service-definition.js";
import type { Refusal } from "../../../shared/rpc/tls/server-credentials.js";
import { fakePlan, fakeWorker, temporaryFolder, unitPerTensor } from "../../support/dispatch.js";
import { grpcMessage } from "../../support/hostile-peers.js";

/** A server that sends chunk after chunk, each when the one before has left, to readers that must take one in two seconds. */
async function startSending() {
  const server = new Server();
  let ended = 0;
  server.addService(serviceDefinition(AgentService), {
    read: (call: {
      write(message: unknown, sent: () => void): unknown;
      on(event: string, act: () => void): unknown;
    }) => {
      let isOver = false;
      call.on("cancelled", () => {
        isOver = true;
        ended += 1;
      });
      const send = (): void => {
        if (!isOver) call.write({ data: new Uint8Array(100_000) }, send);
      };
      send();
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  const refusals: string[] = [];
  guardServer(server, {
    limits: { takeMs: 2_000 },
    keepsOthersWaiting: (method) => method.endsWith("/Read"),
    onRefused: ({ reason }) => void refusals.push(reason),
  });
  return {
    address: `http://127.0.0.1:${port}`,
    refusals,
    get ended() {
      return ended;
    },
    [Symbol.dispose]: () => server.forceShutdown(),
  };
}

test("a reader that takes nothing is let go, and one that takes its time is not", async () => {
  using server = await startSending();
  const session = connectHttp2(server.address);
  session.on("error", () => undefined);
  const read = () => {
    const headers = { ":method": "POST", ":path": "/amalgam.v1.AgentService/Read", "content-type": "application/grpc" };
    const stream = session.request({ ...headers, te: "trailers" });
    stream.on("error", () => undefined);
    stream.end(grpcMessage(toBinary(ReadRequestSchema, create(ReadRequestSchema))));
    return stream;
  };
  const [deaf, slow] = [read(), read()];
  let taken = 0;
  const taking = setInterval(() => {
    taken += (slow.read() as Buffer | null)?.length ?? 0;
  }, 20);
  try {
    await expect.poll(() => deaf.rstCode, { timeout: 20_000 }).toBe(11);
    expect(server.ended).toBe(1);
    expect(server.refusals).toEqual(["it has not taken a response for 2 seconds"]);
    const before = taken;
    await expect.poll(() => taken, { timeout: 10_000 }).toBeGreaterThan(before);
    expect(slow.closed).toBe(false);
  } finally {
    clearInterval(taking);
    session.destroy();
  }
});

test("whoever asks for a unit and takes nothing of it, pings aside, loses the slot after a while, and the next one has it", async () => {
  await using folder = await temporaryFolder();
  const refusals: Refusal[] = [];
  const onRefused = (refusal: Refusal): void => void refusals.push(refusal);
  await using agent = await runAgent({
    roots: [folder.path],
    worker: fakeWorker,
    slots: 1,
    limits: { workTakeMs: 2_000 },
    onRefused,
  });
  const plan = fakePlan([{ name: "large", elements: 4_000_000 }]);
  const [unit] = unitPerTensor(plan);
  if (unit === undefined) throw new Error("The plan has a unit");
  const build = createRequestBuilder(plan, "job");
  const { message } = build(unit, { epoch: 1, task: { kind: "stream", chunkBytes: 1 << 20 } });

  const deaf = connectHttp2(`http://${agent.address}`);
  deaf.on("error", () => undefined);
  const pinging = setInterval(() => deaf.ping(() => undefined), 100);
  const headers = { ":method": "POST", ":path": "/amalgam.v1.AgentService/Merge", "content-type": "application/grpc" };
  const held = deaf.request({ ...headers, te: "trailers" });
  held.on("error", () => undefined);
  held.end(grpcMessage(toBinary(MergeRequestSchema, create(MergeRequestSchema, message))));
  const client = createClient(AgentService, agent.address);
  try {
    await expect.poll(() => agent.running).toBe(1);
    // In line behind it, in the agent's only slot.
    const chunks: number[] = [];
    for await (const { event } of client.merge(message))
      if (event.case === "chunk") chunks.push(event.value.data.length);
    expect(chunks.reduce((sum, bytes) => sum + bytes, 0)).toBe(plan.tensors[0]?.bytes);
    expect([held.rstCode, deaf.closed]).toEqual([11, false]);
    expect(refusals).toEqual([
      expect.objectContaining({
        method: "/amalgam.v1.AgentService/Merge",
        reason: "it has not taken a response for 2 seconds",
      }),
    ]);
    await expect.poll(() => agent.running).toBe(0);
  } finally {
    clearInterval(pinging);
    client.close();
    deaf.destroy();
  }
});
