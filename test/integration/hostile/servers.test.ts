import { createServer, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createSocketServer, type Server } from "node:net";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { AmalgamError, type ErrorCode } from "../../../shared/errors.js";
import { AgentService, MergeResponseSchema } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { maxMessageBytes } from "../../../shared/rpc/channel.js";
import { createClient } from "../../../shared/rpc/client.js";
import { grpcMessage } from "../../support/hostile-peers.js";

// Agents that answer what a library would not: their coordinator gets an error with a code, soon, and does not grow.

const grpc = { ":status": 200, "content-type": "application/grpc" };

/** A server of HTTP/2 that answers every call so. */
async function startAnswering(answer: (stream: ServerHttp2Stream) => void) {
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => undefined);
    answer(stream);
  });
  server.on("sessionError", () => undefined);
  return listening(server as unknown as Server);
}

async function listening(server: Server) {
  const sockets = new Set<{ destroy(): unknown }>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A whole answer of one message. */
function say(stream: ServerHttp2Stream, message: Uint8Array, headers = {}): void {
  stream.respond({ ...grpc, ...headers }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(message);
}

/** A failure in the words of an agent of ours, or of something that claims to be. */
function fail(stream: ServerHttp2Stream, told: string): void {
  stream.respond(
    {
      ...grpc,
      "grpc-status": "3",
      "grpc-message": "x%0A%1B[2J",
      "amalgam-error-bin": Buffer.from(told).toString("base64"),
    },
    { endStream: true },
  );
}

const bomb = (): Buffer => {
  const packed = grpcMessage(gzipSync(Buffer.alloc(64 << 20)));
  packed[0] = 1;
  return packed;
};

async function failureOf(address: string): Promise<AmalgamError> {
  const client = createClient(AgentService, address);
  try {
    for await (const _ of client.merge({}, { timeoutMs: 5_000 })) void _;
    throw new Error("The call ended well");
  } catch (error) {
    if (error instanceof AmalgamError) return error;
    throw error;
  } finally {
    client.close();
  }
}

test.each<[string, (stream: ServerHttp2Stream) => void, ErrorCode]>([
  ["a message of 4 GiB", (stream) => say(stream, grpcMessage(new Uint8Array(100), 2 ** 32 - 1)), "out_of_memory"],
  [
    "a message one byte too long",
    (stream) => say(stream, grpcMessage(new Uint8Array(1), maxMessageBytes + 1)),
    "out_of_memory",
  ],
  ["64 MiB packed into a few", (stream) => say(stream, bomb(), { "grpc-encoding": "gzip" }), "out_of_memory"],
  ["no protobuf", (stream) => say(stream, grpcMessage(Buffer.from([0xff, 0xff, 0xff]))), "internal"],
  // What its bytes would be the length of is too long.
  ["a web page", (stream) => say(stream, Buffer.from("<html>"), { "content-type": "text/html" }), "out_of_memory"],
  ["HTTP 404", (stream) => stream.respond({ ":status": 404 }, { endStream: true }), "internal"],
  ["a reset", (stream) => stream.close(2), "internal"],
  ["a failure whose words are not JSON", (stream) => fail(stream, "{"), "usage"],
  ["a failure with a code that there is not", (stream) => fail(stream, '{"code":"__proto__","message":"x"}'), "usage"],
  [
    "a failure of a megabyte of escapes",
    (stream) =>
      fail(
        stream,
        JSON.stringify({ code: "io_failed", message: "\u001b[2J".repeat(3_000), details: { "\n": "\u202e" } }),
      ),
    "io_failed",
  ],
])("an agent that answers with %s is an error", async (_, answer, code) => {
  await using server = await startAnswering(answer);
  const before = process.memoryUsage().rss;
  const error = await failureOf(server.address);
  expect(error.code).toBe(code);
  expect(error.message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(error.message.length).toBeLessThan(2_500);
  expect(JSON.stringify(error.details)).not.toMatch(/\\u001b|\u202e/);
  expect(process.memoryUsage().rss - before).toBeLessThan(200 << 20);
});

test.each<[string, (socket: { write(data: string | Uint8Array): unknown; end(): unknown }) => void]>([
  ["HTTP/1.1", (socket) => socket.write("HTTP/1.1 200 OK\r\n\r\nhello")],
  ["random bytes", (socket) => socket.write(Buffer.alloc(1_000, 0x5a))],
  ["nothing, and hangs up", (socket) => socket.end()],
])("an address that answers with %s is no agent", async (_, answer) => {
  await using server = await listening(createSocketServer((socket) => answer(socket)));
  expect((await failureOf(server.address)).code).toMatch(/^(?:agent_lost|stalled)$/);
});

test("an agent that sends signs of life for ever is read no faster than it is heard", async () => {
  const progress = toBinary(
    MergeResponseSchema,
    create(MergeResponseSchema, { event: { case: "progress", value: {} } }),
  );
  let sent = 0;
  await using server = await startAnswering((stream) => {
    stream.respond(grpc);
    const many = Buffer.concat(Array(1_000).fill(grpcMessage(progress)));
    const write = (): void => {
      while (!stream.destroyed && stream.write(many)) sent += many.length;
    };
    stream.on("drain", write);
    write();
  });
  const client = createClient(AgentService, server.address);
  const before = process.memoryUsage().rss;
  let heard = 0;
  for await (const _ of client.merge({})) {
    heard += 1;
    if (heard === 20_000) break;
  }
  client.close();
  expect(sent).toBeGreaterThan(0);
  expect(process.memoryUsage().rss - before).toBeLessThan(200 << 20);
});
