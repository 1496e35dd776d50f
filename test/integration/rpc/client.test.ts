import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { AmalgamError } from "../../../shared/errors.js";
import { AgentService } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { maxMessageBytes } from "../../../shared/rpc/channel.js";
import type { MergeResponseInit } from "../../../shared/rpc/chunk-encoder.js";
import { createClient } from "../../../shared/rpc/client.js";
import { collect, startFakeServer } from "../../support/dispatch.js";

function connect(address: string) {
  const client = createClient(AgentService, address);
  return Object.assign(client, { [Symbol.dispose]: () => client.close() });
}

function chunk(bytes: number, offset = 0): MergeResponseInit {
  const data = new Uint8Array(bytes).fill(offset);
  return { event: { case: "chunk", value: { piece: 0, offset: BigInt(offset), data, crc32: crc32(data) } } };
}

function sendOneAndHang(_: unknown, send: (response: MergeResponseInit) => boolean): Promise<void> {
  send(chunk(10));
  return new Promise(() => undefined);
}

test("a stream brings every message in order and unharmed", async () => {
  await using server = await startFakeServer({
    merge: (_, send) => {
      for (let i = 0; i < 50; i += 1) send(chunk(100_000, i));
    },
  });
  using client = connect(server.address);
  const events = (await collect(client.merge({ job: "j" }))).map(({ event }) => event);
  expect(events.map((event) => event.case === "chunk" && Number(event.value.offset))).toEqual([...Array(50).keys()]);
  for (const { value } of events) {
    if (value?.$typeName === "amalgam.v1.Chunk") expect(crc32(value.data)).toBe(value.crc32);
  }
});

test("messages that came before a failure are read first, then it is thrown", async () => {
  const failure = new AmalgamError("io_failed", 'Cannot read "x"', { details: { tensor: "x" } });
  await using server = await startFakeServer({
    merge: (_, send) => {
      for (let i = 0; i < 5; i += 1) send(chunk(10, i));
      throw failure;
    },
  });
  using client = connect(server.address);
  let seen = 0;
  const reading = (async () => {
    for await (const _ of client.merge({})) seen += 1;
  })();
  await expect(reading).rejects.toMatchObject({
    code: "io_failed",
    message: failure.message,
    details: { tensor: "x" },
  });
  expect(seen).toBe(5);
});

test("leaving the loop cancels the call", async () => {
  let stopped = 0;
  await using server = await startFakeServer({
    merge: async (_, send, call) => {
      call.on("cancelled", () => {
        stopped += 1;
      });
      for (let i = 0; i < 10; i += 1) send(chunk(10, i));
      await new Promise((resolve) => call.on("cancelled", resolve));
    },
  });
  using client = connect(server.address);
  for await (const _ of client.merge({})) break;
  await expect.poll(() => stopped).toBe(1);
});

test("an aborted signal ends a stream with its reason, whether it is read or not", async () => {
  await using server = await startFakeServer({ merge: () => new Promise(() => undefined) });
  using client = connect(server.address);
  const controller = new AbortController();
  const reading = collect(client.merge({}, { signal: controller.signal }));
  const reason = new AmalgamError("stalled", "It stalled");
  setTimeout(() => controller.abort(reason), 20);
  await expect(reading).rejects.toBe(reason);
  await expect(collect(client.merge({}, { signal: controller.signal }))).rejects.toBe(reason);
  await expect(client.describe({}, { signal: controller.signal })).rejects.toBe(reason);
});

test("a call that the other side ends is a lost agent, not a cancellation", async () => {
  const server = await startFakeServer({ merge: sendOneAndHang });
  using client = connect(server.address);
  const reading = (async () => {
    for await (const _ of client.merge({})) await server[Symbol.asyncDispose]();
  })();
  await expect(reading).rejects.toMatchObject({ code: "agent_lost" });
});

test("nobody at the address is a lost agent", async () => {
  const server = await startFakeServer({ merge: () => undefined });
  await server[Symbol.asyncDispose]();
  using client = connect(server.address);
  await expect(client.describe({})).rejects.toMatchObject({ code: "agent_lost" });
});

test("a call without an answer in time has stalled", async () => {
  await using server = await startFakeServer({ merge: () => new Promise(() => undefined) });
  using client = connect(server.address);
  await expect(collect(client.merge({}, { timeoutMs: 30 }))).rejects.toMatchObject({ code: "stalled" });
});

test("a message above the limit is refused in both directions", async () => {
  await using server = await startFakeServer({ merge: (_, send) => send(chunk(maxMessageBytes + 1)) });
  using client = connect(server.address);
  await expect(collect(client.merge({}))).rejects.toMatchObject({ code: "out_of_memory" });
  const job = "x".repeat(maxMessageBytes + 1);
  await expect(collect(client.merge({ job }))).rejects.toMatchObject({ code: "out_of_memory" });
});

test("a slow reader is sent only a few messages more than it has read", async () => {
  let sent = 0;
  await using server = await startFakeServer({
    merge: async (_, send, call) => {
      for (let i = 0; i < 200; i += 1) {
        const hasRoom = send(chunk(1 << 20, i));
        sent += 1;
        if (!hasRoom) await new Promise((resolve) => call.once("drain", resolve));
      }
    },
  });
  using client = connect(server.address);
  let read = 0;
  for await (const _ of client.merge({})) {
    read += 1;
    if (read === 3) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      // The receive window, the server's own queue, what is decoded ahead, and what lies in the sockets.
      expect(sent - read).toBeLessThan(16 + 16 + 4 + 12);
      break;
    }
  }
});
