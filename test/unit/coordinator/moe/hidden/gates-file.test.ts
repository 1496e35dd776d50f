import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { formatGates, parseGates, pendingGates } from "../../../../../coordinator/moe/hidden/gates-file.js";
import { parseHeader } from "../../../../../shared/checkpoint/header.js";

const shape = { layers: 2, hidden: 3, experts: 2, sharedExperts: 1 };
const values = {
  ...{ layers: 2, hidden: 3 },
  experts: Float32Array.from({ length: 12 }, (_, i) => i / 7),
  sharedExperts: Float32Array.from({ length: 6 }, (_, i) => -i / 7),
};

test("gates come back bit for bit, also from bytes that begin anywhere", () => {
  const { content } = formatGates(values, "key");
  const shifted = Buffer.concat([Buffer.of(0), content]).subarray(1);
  expect(parseGates(shifted, "key", shape)).toEqual(formatGates(values, "key"));
});

test("the file is a safetensors file whose header changes with every bit of its values", () => {
  const { content, headerSha256, offsets } = formatGates(values, "key");
  const header = parseHeader(content.subarray(8, offsets.experts), { file: "gates", fileBytes: content.length });
  expect(header.tensors.map(({ name, dtype, shape: found }) => [name, dtype, found])).toEqual([
    ["experts", "F32", [2, 2, 3]],
    ["shared_experts", "F32", [2, 1, 3]],
  ]);
  expect(createHash("sha256").update(content.subarray(0, offsets.experts)).digest("hex")).toBe(headerSha256);
  const experts = values.experts.map((value, i) => (i === 11 ? value + 2 ** -20 : value));
  expect(formatGates({ ...values, experts }, "key").headerSha256).not.toBe(headerSha256);
});

test("gates that follow from something else, have other sizes or were changed are no gates", () => {
  const { content } = formatGates(values, "key");
  const changed = Uint8Array.from(content, (byte, i) => (i === content.length - 1 ? byte ^ 1 : byte));
  expect(parseGates(content, "another", shape)).toBeUndefined();
  expect(parseGates(content, "key", { ...shape, experts: 3 })).toBeUndefined();
  expect(parseGates(content, "key", { ...shape, experts: 1, sharedExperts: 2 })).toBeUndefined();
  expect(parseGates(changed, "key", shape)).toBeUndefined();
  expect(parseGates(content.subarray(0, 40), "key", shape)).toBeUndefined();
});

test("gates that are still to be found out have the sizes of those that will be", () => {
  expect(pendingGates(shape).offsets.experts).toBeLessThan(formatGates(values, "key").offsets.experts + 1);
  expect(pendingGates(shape).experts).toHaveLength(12);
});
