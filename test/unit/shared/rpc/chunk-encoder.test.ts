import { once } from "node:events";
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Server, ServerCredentials, type ServerWritableStream } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { MergeResponseSchema } from "../../../../shared/gen/amalgam/v1/agent_pb.js";
import {
  encodeDirectly,
  encodeMergeResponse,
  encodePlainly,
  type MergeResponseInit,
} from "../../../../shared/rpc/chunk-encoder.js";

/** What grpc-js does with a serialized response. */
function framed(message: MergeResponseInit): string {
  const encoded = encodeDirectly(message);
  const frame = Buffer.alloc(encoded.byteLength + 5);
  encoded.copy(frame, 5);
  return frame.toString("latin1", 5);
}

/** As text, which is compared a thousand times faster than arrays are. */
function plain({ event }: MergeResponseInit): string {
  const message = create(MergeResponseSchema, event === undefined ? {} : { event });
  return Buffer.from(toBinary(MergeResponseSchema, message)).toString("latin1");
}

const chunks = [0n, 127n, 128n, 2n ** 31n, 2n ** 40n + 3n, 2n ** 53n - 1n].flatMap((offset) =>
  [0, 1, 200, 70_000].flatMap((length) =>
    [0, 300].map((piece): MergeResponseInit => {
      const data = new Uint8Array(length).fill(length);
      return { event: { case: "chunk", value: { piece, offset, data, crc32: piece === 0 ? 0 : 0xfedc_ba98 } } };
    }),
  ),
);

test("encodeDirectly() writes the very bytes that protobuf's own encoder writes", () => {
  for (const message of chunks) expect(framed(message)).toEqual(plain(message));
  const event = { case: "progress", value: { bytesRead: 5n, bytesWritten: 2n ** 50n } } as const;
  expect(framed({ event })).toEqual(plain({ event }));
});

test("the installed grpc-js is one that direct encoding was tried with", () => {
  expect(encodeMergeResponse).toBe(encodeDirectly);
});

test.each([
  ["directly", encodeDirectly],
  ["plainly", encodePlainly],
])("a real server that encodes %s sends the same bytes", async (_, serialize) => {
  const server = new Server();
  const method = { path: "/test/Stream", requestStream: false, responseStream: true } as const;
  const raw = { requestSerialize: Buffer.from, requestDeserialize: (bytes: Buffer) => bytes };
  const service = {
    stream: { ...method, ...raw, responseSerialize: serialize, responseDeserialize: (bytes: Buffer) => bytes },
  };
  server.addService(service, {
    stream: (call: ServerWritableStream<Buffer, MergeResponseInit>) => {
      for (const message of chunks) call.write(message);
      call.end();
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  try {
    const received: string[] = [];
    const call = client.makeServerStreamRequest(
      method.path,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      Buffer.alloc(0),
    );
    call.on("data", (bytes: Buffer) => received.push(bytes.toString("latin1")));
    await once(call, "end");
    expect(received).toEqual(chunks.map(plain));
  } finally {
    client.close();
    server.forceShutdown();
  }
});
