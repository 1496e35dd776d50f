import { create, fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { MergeResponseSchema } from "../../../../shared/gen/amalgam/v1/agent_pb.js";
import { encodeMergeResponse, type MergeResponseInit } from "../../../../shared/rpc/chunk-encoder.js";

/** What grpc-js does with a serialized response. */
function framed(message: MergeResponseInit): Uint8Array {
  const encoded = encodeMergeResponse(message);
  const frame = Buffer.alloc(encoded.byteLength + 5);
  encoded.copy(frame, 5);
  return Uint8Array.from(frame.subarray(5));
}

test("encodeMergeResponse() writes chunks that every protobuf reader understands", () => {
  for (const offset of [0n, 127n, 128n, 2n ** 31n, 2n ** 40n + 3n, 2n ** 53n - 1n]) {
    for (const length of [0, 1, 200, 70_000]) {
      const data = new Uint8Array(length).fill(length);
      const value = { piece: 300, offset, data, crc32: 0xfedc_ba98 };
      const message = create(MergeResponseSchema, { event: { case: "chunk", value } });
      expect(fromBinary(MergeResponseSchema, framed({ event: { case: "chunk", value } }))).toEqual(message);
    }
  }
});

test("encodeMergeResponse() writes every other event as usual", () => {
  const event = { case: "progress", value: { bytesRead: 5n, bytesWritten: 2n ** 50n } } as const;
  expect(fromBinary(MergeResponseSchema, framed({ event }))).toEqual(create(MergeResponseSchema, { event }));
});
