import { expect, test } from "vitest";
import type { Dtype } from "../../../../shared/checkpoint/dtypes.js";
import { formatHeader, type Header, type NewTensor, parseHeader } from "../../../../shared/checkpoint/header.js";
import { tensorBytes } from "../../../../shared/checkpoint/tensor-bytes.js";

/** Parses a header followed by as many bytes of tensor data as given. */
function parse(json: string, dataBytes: number): Header {
  const bytes = new TextEncoder().encode(json);
  return parseHeader(bytes, { file: "x.safetensors", fileBytes: 8 + bytes.length + dataBytes });
}

test("parseHeader() reads tensors and metadata", () => {
  const json = `{"__metadata__": {"format": "pt", "": "é"},
    "w": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]},
    "b": {"data_offsets": [12, 20], "shape": [], "dtype": "F64"}}   `;
  const header = parse(json, 20);
  expect(header.tensors).toEqual([
    { name: "w", dtype: "BF16", shape: [2, 3], begin: 0, end: 12 },
    { name: "b", dtype: "F64", shape: [], begin: 12, end: 20 },
  ]);
  expect([...header.metadata]).toEqual([
    ["format", "pt"],
    ["", "é"],
  ]);
  expect(header.dataOffset).toBe(8 + new TextEncoder().encode(json).length);
});

test("parseHeader() sorts tensors by offset, whatever the order of the header", () => {
  const json = `{"c":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},
    "a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"d":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}}`;
  expect(parse(json, 7).tensors.map(({ name }) => name)).toEqual(["a", "c", "d"]);
});

test("parseHeader() accepts a tensor without elements at the offset of another", () => {
  const json = `{"full":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
    "none":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]},"last":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}`;
  expect(parse(json, 4).tensors.map(({ name }) => name)).toEqual(["none", "full", "last"]);
});

test("parseHeader() accepts a file without tensors", () => {
  expect(parse("{}", 0).tensors).toEqual([]);
  expect(parse('{"__metadata__":{}}     ', 0).metadata.size).toBe(0);
});

test("parseHeader() takes names as they come", () => {
  const names = [
    "",
    "__proto__",
    "constructor",
    "toString",
    "a/../../b",
    "a\nb\u001b[2J",
    "\u202e",
    "重み",
    "x".repeat(4096),
  ];
  const header = formatHeader(names.map((name) => ({ name, dtype: "U8", shape: [1] })));
  const parsed = parseHeader(header.subarray(8), { file: "x", fileBytes: header.length + names.length });
  expect(parsed.tensors.map(({ name }) => name)).toEqual(names);
});

test("parseHeader() knows escaped keys for what they are", () => {
  const json = '{"\\u0061":{"\\u0064type":"F\\u00332","shape":[1],"data_offsets":[0,4]}}';
  expect(parse(json, 4).tensors).toEqual([{ name: "a", dtype: "F32", shape: [1], begin: 0, end: 4 }]);
});

test("parseHeader() reads dtypes that do not fill a byte", () => {
  const shapes: readonly (readonly [Dtype, readonly number[], number])[] = [
    ["F4", [6], 3],
    ["F6_E2M3", [4], 3],
    ["F6_E3M2", [2, 8], 12],
    ["F8_E8M0", [3], 3],
    ["C64", [2], 16],
    ["BOOL", [], 1],
  ];
  for (const [dtype, shape, bytes] of shapes) {
    const json = `{"t":{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[0,${bytes}]}}`;
    expect(parse(json, bytes).tensors[0]).toMatchObject({ dtype, shape, end: bytes });
  }
});

test("formatHeader() writes what parseHeader() reads back", () => {
  const entries: NewTensor[] = [
    { name: 'quote " and \\', dtype: "BF16", shape: [3, 5] },
    { name: "scalar", dtype: "F32", shape: [] },
    { name: "empty", dtype: "I64", shape: [0, 9] },
    { name: "half bytes", dtype: "F4", shape: [10] },
    { name: "ключ\u0000", dtype: "F8_E4M3", shape: [1, 1, 1, 2] },
  ];
  const metadata = new Map([
    ["format", "pt"],
    ["__proto__", "kept"],
    ["10", "after"],
    ["2", "in the given order"],
  ]);
  const bytes = formatHeader(entries, metadata);
  expect(bytes.length % 8).toBe(0);
  expect(new DataView(bytes.buffer).getBigUint64(0, true)).toBe(BigInt(bytes.length - 8));
  const header = parseHeader(bytes.subarray(8), { file: "x", fileBytes: bytes.length + 30 + 4 + 5 + 2 });
  expect(header.tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape }))).toEqual(entries);
  expect([...header.metadata]).toEqual([...metadata]);
  expect(header.dataOffset).toBe(bytes.length);
});

test("formatHeader() refuses what a reader would refuse", () => {
  const tensor: NewTensor = { name: "a", dtype: "F32", shape: [1] };
  const cases: readonly (readonly [NewTensor[], RegExp])[] = [
    [[tensor, tensor], /"a": the name is taken/],
    [[{ ...tensor, name: "__metadata__" }], /the name is taken/],
    [[{ ...tensor, name: "\ud800" }], /not Unicode/],
    [[{ ...tensor, name: "\n".repeat(3000) }], /longer than 4096 bytes/],
    [[{ ...tensor, shape: [1.5] }], /shape \[1.5\]/],
    [[{ ...tensor, shape: [-1] }], /shape \[-1\]/],
    [[{ ...tensor, shape: [Number.NaN] }], /shape \[NaN\]/],
    [[{ ...tensor, shape: [2 ** 31, 2 ** 31] }], /shape/],
    [[{ ...tensor, dtype: "F4", shape: [3] }], /F4 of shape \[3\]/],
  ];
  for (const [entries, message] of cases) expect(() => formatHeader(entries), String(message)).toThrow(message);
});

test("tensorBytes() multiplies without losing a bit", () => {
  expect(tensorBytes("F32", [2 ** 24, 2 ** 23])).toBe(2 ** 49);
  expect(tensorBytes("F32", [2 ** 32, 2 ** 32])).toBeUndefined();
  expect(tensorBytes("U8", [94906267, 94906267])).toBeUndefined();
  expect(tensorBytes("F64", [0, 2 ** 40])).toBe(0);
  expect(tensorBytes("F6_E2M3", [3])).toBeUndefined();
});

test("parseHeader() handles as many tensors as one file may have", () => {
  const entries = Array.from({ length: 250_000 }, (_, i): NewTensor => ({ name: `t${i}`, dtype: "U8", shape: [1] }));
  const bytes = formatHeader(entries);
  const header = parseHeader(bytes.subarray(8), { file: "x", fileBytes: bytes.length + entries.length });
  expect(header.tensors.at(-1)).toEqual({ name: "t249999", dtype: "U8", shape: [1], begin: 249_999, end: 250_000 });
});
