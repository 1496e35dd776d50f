import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentService } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { maxMessageBytes } from "../../../shared/rpc/channel.js";
import { createClient } from "../../../shared/rpc/client.js";
import { serverLimits } from "../../../shared/rpc/server/limits.js";
import { withTempDir } from "../../support/checkpoints.js";
import { startAgentCommand } from "../../support/command.js";
import {
  callHeaders,
  closed,
  emptySettings,
  flags,
  frame,
  frames,
  grpcMessage,
  openSession,
  openSocket,
  peakBytes,
  preface,
  rawCall,
  socketsOf,
} from "../../support/hostile-peers.js";
import { mergeLocally, writeFamily, writeRecipe } from "../../support/merges.js";

// An agent, a merge on it, and clients that mean harm: the merge ends as ever, and the agent does not grow.

const mergePath = "/amalgam.v1.AgentService/Merge";
const readPath = "/amalgam.v1.AgentService/Read";

/** What the agent may have held at most after all of it: its limit for requests twice, since they are put together, and itself. */
const maxPeakBytes = 2 * serverLimits.heldBytes + (400 << 20);

async function startWork() {
  const folder = await withTempDir();
  await writeFamily(folder.path);
  const recipe = await writeRecipe(folder.path, "dare_ties");
  const golden = await merge(recipe, join(folder.path, "golden"));
  const agent = await startAgentCommand(folder.path);
  let merges = 0;
  return {
    ...agent,
    folder: folder.path,
    /** Merges on the agent, and fails unless the output is as it is without anybody else. */
    async expectGolden(): Promise<void> {
      merges += 1;
      expect(await merge(recipe, join(folder.path, `out-${merges}`), [agent.address])).toBe(golden);
    },
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function merge(recipe: string, output: string, addresses?: readonly string[]): Promise<string> {
  await mergeLocally(recipe, output, addresses === undefined ? {} : { addresses });
  return createHash("sha256")
    .update(readFileSync(join(output, "model.safetensors")))
    .digest("hex");
}

const work = startWork();
beforeAll(() => work);
afterAll(async () => (await work)[Symbol.asyncDispose]());

/** Files that this process may open, less some for itself. */
function affordable(wanted: number): number {
  const limit = execFileSync("sh", ["-c", "ulimit -n"]).toString().trim();
  return limit === "unlimited" ? wanted : Math.min(wanted, Number(limit) - 500);
}

test("10,000 connections that say nothing are let in and let go, and a merge finds its way between them", async (context) => {
  const { address, pid, expectGolden } = await work;
  const wanted = 10_000;
  const count = affordable(wanted);
  if (count < wanted) await context.annotate(`${count} connections, for this process may not open more files`);
  let open = 0;
  const sockets = [];
  for (let i = 0; i < count; i += 500) {
    const some = await Promise.all(Array.from({ length: Math.min(500, count - i) }, () => openSocket(address)));
    open += some.length;
    for (const socket of some) void closed(socket).then(() => (open -= 1));
    sockets.push(...some);
  }
  try {
    await expect.poll(() => open, { timeout: 20_000 }).toBeLessThanOrEqual(serverLimits.connectionsPerAddress);
    expect(socketsOf(pid)).toBeLessThan(serverLimits.connectionsPerAddress + 100);
    await expectGolden();
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

/** Opens a call on a connection of its own and says this of it. */
async function callSaying(address: string, ...said: readonly Buffer[]) {
  const socket = await openSocket(address);
  socket.write(Buffer.concat([preface, emptySettings, frame(frames.settings, flags.ack, 0)]));
  socket.write(frame(frames.headers, flags.endHeaders, 1, callHeaders(mergePath)));
  for (const part of said) socket.write(part);
  return socket;
}

test.concurrent.each<[string, (address: string) => Promise<unknown>]>([
  ["a connection without a word", async (address) => closed(await openSocket(address))],
  [
    "a connection that says one byte of the preface per second",
    async (address) => {
      const socket = await openSocket(address);
      let at = 0;
      const saying = setInterval(() => socket.write(preface.subarray(at, ++at)), 1_000);
      await closed(socket).finally(() => clearInterval(saying));
    },
  ],
  [
    "a connection that does not acknowledge settings, and answers pings",
    async (address) => {
      const socket = await openSocket(address);
      socket.write(Buffer.concat([preface, emptySettings]));
      socket.on("data", (data: Buffer) => {
        const at = data.indexOf(Uint8Array.of(0, 0, 8, frames.ping, 0));
        if (at >= 0) socket.write(frame(frames.ping, flags.ack, 0, data.subarray(at + 9, at + 17)));
      });
      await closed(socket);
    },
  ],
  [
    "a call whose request comes one byte per second",
    async (address) => {
      const session = openSession(address);
      const stream = session.request({ ":method": "POST", ":path": mergePath, "content-type": "application/grpc" });
      stream.on("error", () => undefined);
      stream.resume();
      stream.write(grpcMessage(new Uint8Array(), 1_000));
      const saying = setInterval(() => stream.write(Uint8Array.of(0)), 1_000);
      await new Promise((resolve) => stream.once("close", resolve)).finally(() => clearInterval(saying));
      expect(stream.rstCode).toBe(11);
      session.destroy();
    },
  ],
])("%s is ended after some seconds, and others do not notice", async (_, attack) => {
  const { address, expectGolden } = await work;
  await Promise.all([attack(address), expectGolden()]);
});

test.each<[string, (address: string) => Promise<unknown>]>([
  [
    "resets every call that it opens",
    async (address) => {
      const socket = await callSaying(address);
      for (let stream = 3; stream < 20_000 && !socket.destroyed; stream += 2) {
        socket.write(frame(frames.headers, flags.endHeaders, stream, callHeaders(mergePath)));
        if (!socket.write(frame(frames.reset, 0, stream, Buffer.alloc(4, 8)))) await new Promise(setImmediate);
      }
      await closed(socket);
    },
  ],
  ["pings without end", (address) => flood(address, frame(frames.ping, 0, 0, Buffer.alloc(8)))],
  ["changes its settings without end", (address) => flood(address, emptySettings)],
  [
    "opens its window beyond all bounds",
    async (address) => {
      for (let i = 0; i < 100; i++) {
        const socket = await callSaying(address);
        const most = Buffer.from([0x7f, 0xff, 0xff, 0xff]);
        for (const stream of [1, 0]) socket.write(frame(frames.windowUpdate, 0, stream, most));
        await closed(socket);
      }
    },
  ],
  [
    "sends headers without end",
    async (address) => {
      const socket = await openSocket(address);
      socket.write(Buffer.concat([preface, emptySettings, frame(frames.headers, 0, 1, callHeaders(mergePath))]));
      const more = frame(frames.continuation, 0, 1, Buffer.concat(Array(100).fill(callHeaders(mergePath))));
      while (!socket.destroyed) if (!socket.write(more)) await new Promise(setImmediate);
      await closed(socket);
    },
  ],
  ["speaks HTTP/1.1", async (address) => say(address, "GET / HTTP/1.1\r\nHost: agent\r\n\r\n")],
  ["speaks TLS to one who does not", async (address) => say(address, Buffer.from("16030100c8010000c40303", "hex"))],
])("a connection that %s is ended, and others do not notice", async (_, attack) => {
  const { address, expectGolden } = await work;
  await Promise.all([attack(address), expectGolden()]);
});

async function say(address: string, words: string | Buffer): Promise<void> {
  const socket = await openSocket(address);
  socket.write(words);
  await closed(socket);
}

/** Says the same until it is hung up on. */
async function flood(address: string, said: Buffer): Promise<void> {
  const socket = await openSocket(address);
  socket.write(Buffer.concat([preface, emptySettings, frame(frames.settings, flags.ack, 0)]));
  const many = Buffer.concat(Array(100).fill(said));
  while (!socket.destroyed) if (!socket.write(many)) await new Promise(setImmediate);
  await closed(socket);
}

const describeRequest = grpcMessage(new Uint8Array());

test.each<[string, string, Buffer, { contentType?: string }, { http: number; grpc?: number }]>([
  [
    "no protobuf",
    mergePath,
    grpcMessage(Buffer.from("\xff\xff\xff", "latin1")),
    {},
    { http: 200, grpc: status.INTERNAL },
  ],
  [
    "a method that there is not",
    "/amalgam.v1.AgentService/Merg",
    describeRequest,
    {},
    { http: 200, grpc: status.UNIMPLEMENTED },
  ],
  ["a service that there is not", "/x/Merge", describeRequest, {}, { http: 200, grpc: status.UNIMPLEMENTED }],
  ["another content type", mergePath, describeRequest, { contentType: "application/json" }, { http: 415 }],
  ["no message", mergePath, Buffer.alloc(0), {}, { http: 200, grpc: status.UNIMPLEMENTED }],
  [
    "two messages",
    mergePath,
    Buffer.concat([describeRequest, describeRequest]),
    {},
    { http: 200, grpc: status.UNIMPLEMENTED },
  ],
  [
    "a message of 4 GiB",
    readPath,
    grpcMessage(new Uint8Array(10), 2 ** 32 - 1),
    {},
    { http: 200, grpc: status.RESOURCE_EXHAUSTED },
  ],
  [
    "a byte too many",
    readPath,
    grpcMessage(new Uint8Array(10), maxMessageBytes + 1),
    {},
    { http: 200, grpc: status.RESOURCE_EXHAUSTED },
  ],
])("a call with %s is refused", async (_, path, body, options, { http, grpc }) => {
  const { address } = await work;
  const session = openSession(address);
  try {
    expect(await rawCall(session, path, body, options)).toMatchObject({
      http,
      ...(grpc === undefined ? {} : { grpc }),
    });
  } finally {
    session.destroy();
  }
});

test("a hundred requests of 16 MiB at once take no more than their limit, and others do not notice", async () => {
  const { address, pid, expectGolden } = await work;
  const body = grpcMessage(Buffer.alloc(maxMessageBytes - 1), maxMessageBytes);
  const session = openSession(address);
  try {
    const calls = Array.from({ length: 100 }, () => rawCall(session, mergePath, body, { isOpen: true }));
    let ended = 0;
    for (const call of calls) void call.then(() => (ended += 1));
    await expect.poll(() => ended, { timeout: 30_000 }).toBeGreaterThan(50);
    await expectGolden();
  } finally {
    session.destroy();
  }
  expect(peakBytes(pid)).toBeLessThan(maxPeakBytes);
});

test("after all of it the agent answers at once, and has held no more than it may", async () => {
  const { address, pid, expectGolden, kill } = await work;
  const client = createClient(AgentService, address);
  expect((await client.describe({}, { timeoutMs: 1_000 })).name).toBe("by-hand");
  client.close();
  await expectGolden();
  expect(peakBytes(pid)).toBeLessThan(maxPeakBytes);
  const { stderr, stdout, code } = await kill("SIGTERM");
  expect(code).toBe(0);
  const told = stderr + stdout;
  for (const reason of [
    "it has not shaken hands within 10 seconds",
    "took calls back more than 500 times",
    "of its request came in",
  ]) {
    expect(told).toContain(reason);
  }
  // A flood of refusals is not a flood of lines.
  expect(told.split("\n").length).toBeLessThan(200);
});
