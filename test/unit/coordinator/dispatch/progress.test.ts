import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { readProgress } from "../../../../coordinator/dispatch/progress.js";
import { ProgressSchema } from "../../../../shared/gen/amalgam/v1/agent_pb.js";

test("readProgress() takes what can be true", () => {
  const progress = create(ProgressSchema, { bytesRead: 5n, bytesWritten: 2n ** 53n - 1n, ioSeconds: 0.5 });
  expect(readProgress(progress, "a")).toEqual({ bytesRead: 5, bytesWritten: Number.MAX_SAFE_INTEGER, ioSeconds: 0.5 });
});

test.each([
  [{ bytesRead: 2n ** 53n }, "tells of 9007199254740992 bytes, more than there can be"],
  [{ bytesWritten: 2n ** 64n - 1n }, "tells of 18446744073709551615 bytes"],
  [{ ioSeconds: Number.NaN }, "reads and writes took it NaN seconds"],
  [{ ioSeconds: Number.POSITIVE_INFINITY }, "took it Infinity seconds"],
  [{ ioSeconds: -1 }, "took it -1 seconds"],
])("readProgress() does not believe %o", (numbers, message) => {
  const read = (): unknown => readProgress(create(ProgressSchema, numbers), '"a" at 127.0.0.1:1');
  expect(read).toThrow(expect.objectContaining({ code: "chunk_corrupt", message: expect.stringContaining(message) }));
});
