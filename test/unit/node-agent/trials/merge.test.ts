import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { groupPieces } from "../../../../node-agent/trials/merge.js";
import { PieceSchema } from "../../../../shared/gen/amalgam/v1/agent_pb.js";

const mebibyte = 1 << 20;

function pieces(...sizes: readonly number[]) {
  return sizes.map((bytes) => create(PieceSchema, { end: BigInt(bytes / 2), outputDtype: "BF16" }));
}

test.each([
  ["none", [], 2, []],
  ["small ones together", [100, 200, 300], 4, [[0, 1, 2]]],
  ["none that is large is cut, and the largest go first", [mebibyte, 9 * mebibyte, mebibyte], 1, [[1], [0], [2]]],
  [
    "about four groups for each worker",
    Array<number>(16).fill(mebibyte),
    2,
    Array.from({ length: 8 }, (_, i) => [2 * i, 2 * i + 1]),
  ],
] as const)("pieces in groups: %s", (_, sizes, workers, expected) => {
  expect(groupPieces(pieces(...sizes), workers).map((group) => group.pieces)).toEqual(expected);
});
