import { execFileSync } from "node:child_process";
import { mkdir, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseHeader } from "../../../../shared/checkpoint/header.js";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import { readHeader } from "../../../../shared/checkpoint/read-header.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { formatSafetensors, randomTensor, withTempDir } from "../../../support/checkpoints.js";

/** A broken file, what its error must say, and the tensor it must name. */
type Hostile = readonly [title: string, file: Uint8Array, message: RegExp, tensor?: string];

/** A file from a header, the bytes of tensor data that follow it, and a length that may lie. */
function file(header: string | Uint8Array, dataBytes = 0, length?: bigint): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

/** A file with one tensor "t" of eight bytes, some of its facts replaced. */
function one(facts: { dtype?: string; shape?: string; offsets?: string; more?: string; data?: number }): Uint8Array {
  const { dtype = '"F32"', shape = "[2]", offsets = "[0,8]", more = "", data = 8 } = facts;
  return file(`{"t":{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}${more}}}`, data);
}

/** A file with tensors of the given byte ranges. */
function ranges(dataBytes: number, ...tensors: (readonly [number, number])[]): Uint8Array {
  const entries = tensors.map(([begin, end], i) => {
    return `"t${i}":{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]}`;
  });
  return file(`{${entries.join(",")}}`, dataBytes);
}

const good = '{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';

const hostile: readonly Hostile[] = [
  // The length.
  ["an empty file", new Uint8Array(), /has 0 bytes, fewer than 8/],
  ["a file of seven bytes", new Uint8Array(7), /has 7 bytes, fewer than 8/],
  ["length 0", file("", 8), /its length is 0 bytes/],
  ["length 1", file("{", 0), /its length is 1 bytes/],
  ["length 7 of a longer header", file(good, 8, 7n), /ends inside|where it should have/],
  ["a length beyond the file", file(good, 8, 1000n), /its length is 1000 bytes, \d+ beyond the end/],
  ["a length one beyond the file", file(good, 0, BigInt(good.length + 1)), /1 beyond the end/],
  ["length 100,000,001", file(good, 8, 100_000_001n), /above the limit of 100,000,000/],
  ["length 2^63", file(good, 8, 2n ** 63n), /9223372036854775808 bytes, above the limit/],
  ["length 2^64 - 1", file(good, 8, 2n ** 64n - 1n), /18446744073709551615 bytes, above the limit/],
  // The text.
  ["an array", file("[]"), /starts with byte 0x5b/],
  ["a leading space", file(` ${good}`, 8), /starts with byte 0x20/],
  ["a byte order mark", file(`\ufeff${good}`, 8), /byte order mark/],
  ["NUL bytes", file(new Uint8Array(64)), /starts with byte 0x00/],
  ["a NUL between tokens", file('{\u0000"t":1}'), /byte 0x00 where/],
  ["NUL padding", file(`${good}\u0000\u0000`, 8), /only spaces after the last brace/],
  ["newline padding", file(`${good}\n`, 8), /only spaces after the last brace/],
  ["trailing junk", file(`${good}x`, 8), /only spaces after the last brace/],
  ["a second header", file(`${good}${good}`, 8), /only spaces after the last brace/],
  ["invalid UTF-8 in a name", file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x7b, 0x7d, 0x7d)), /not valid UTF-8/],
  ["an overlong encoding", file(Uint8Array.of(0x7b, 0x22, 0xc0, 0x80, 0x22, 0x3a, 0x7d)), /not valid UTF-8/],
  ["an unpaired surrogate", file('{"\\ud800":{}}'), /invalid escape/],
  ["a raw newline in a name", file('{"a\nb":{}}'), /control character/],
  ["a missing brace", file(good.slice(0, -1), 8), /has the end where it should have "," or "}"/],
  ["a trailing comma", file(`${good.slice(0, -1)},}`, 8), /has "}" where it should have """/],
  ["a comment", file(`{/**/${good.slice(1)}`, 8), /has "\/" where/],
  ["single quotes", file("{'t':{}}"), /has "'" where/],
  ["200,000 levels of nesting", file('{"t":'.repeat(200_000)), /unknown key "t"|where it should have/],
  ["200,000 open brackets", file(`{"t":{"shape":${"[".repeat(200_000)}`), /where it should have a whole number/, "t"],
  // The keys.
  ["a duplicate tensor", file(`{${good.slice(1, -1)},${good.slice(1, -1)}}`, 8), /it is listed twice/, "t"],
  [
    "a duplicate in another spelling",
    file(`{${good.slice(1, -1)},${good.slice(1, -1).replace("t", "\\u0074")}}`, 8),
    /it is listed twice/,
    "t",
  ],
  ["duplicate metadata", file('{"__metadata__":{},"__metadata__":{}}'), /it is listed twice/, "__metadata__"],
  ["a duplicate metadata key", file('{"__metadata__":{"a":"1","a":"2"}}'), /metadata key "a" twice/],
  [
    "a duplicate __proto__",
    file('{"__metadata__":{"__proto__":"1","__proto__":"2"}}'),
    /metadata key "__proto__" twice/,
  ],
  ["null metadata", file('{"__metadata__":null}'), /has "n" where/],
  ["a metadata number", file('{"__metadata__":{"a":1}}'), /has "1" where/],
  ["metadata in a list", file('{"__metadata__":["a"]}'), /where it should have "{"/],
  ["a duplicate dtype", one({ more: ',"dtype":"F32"' }), /has "dtype" twice/, "t"],
  ["a duplicate shape", one({ more: ',"shape":[2]' }), /has "shape" twice/, "t"],
  ["duplicate offsets", one({ more: ',"data_offsets":[0,8]' }), /has "data_offsets" twice/, "t"],
  ["an unknown key", one({ more: ',"stride":[1]' }), /unknown key "stride"/, "t"],
  ["an endless key", one({ more: `,"${"k".repeat(100_000)}":1` }), /a string of more than 72 bytes/, "t"],
  ["no dtype", file('{"t":{"shape":[],"data_offsets":[0,0]}}'), /has no "dtype"/, "t"],
  ["no shape", file('{"t":{"dtype":"U8","data_offsets":[0,1]}}', 1), /has no "shape"/, "t"],
  ["no offsets", file('{"t":{"dtype":"U8","shape":[1]}}', 1), /has no "data_offsets"/, "t"],
  ["an empty tensor", file('{"t":{}}'), /has no "dtype"/, "t"],
  ["a tensor in a list", file('{"t":["F32",[2],[0,8]]}', 8), /where it should have "{"/, "t"],
  ["a name of 1 MB", file(`{"${"n".repeat(1 << 20)}":{}}`), /a string of more than 4,096 bytes/],
  [
    "10,001 metadata entries",
    file(`{"__metadata__":{${Array.from({ length: 10_001 }, (_, i) => `"${i}":""`)}}}`),
    /more than 10,000 metadata entries/,
  ],
  // The offsets.
  ["a negative offset", one({ offsets: "[-8,0]" }), /has "-" where/, "t"],
  ["minus zero", one({ offsets: "[-0,8]" }), /has "-" where/, "t"],
  ["a fraction", one({ offsets: "[0,8.0]" }), /not whole/, "t"],
  ["an exponent", one({ offsets: "[0,8e0]" }), /not whole/, "t"],
  ["a number in quotes", one({ offsets: '["0","8"]' }), /where it should have a whole number/, "t"],
  ["an offset of null", one({ offsets: "[null,8]" }), /where it should have a whole number/, "t"],
  ["a leading zero", one({ offsets: "[00,8]" }), /leading zero/, "t"],
  ["one offset", one({ offsets: "[8]" }), /where it should have ","/, "t"],
  ["three offsets", one({ offsets: "[0,8,16]" }), /where it should have "]"/, "t"],
  ["no list", one({ offsets: "8" }), /where it should have "\["/, "t"],
  ["2^53", one({ offsets: "[0,9007199254740992]" }), /above 2\^53 - 1/, "t"],
  ["2^64, which a double would round", one({ offsets: "[0,18446744073709551616]" }), /above 2\^53 - 1/, "t"],
  ["an end before the begin", one({ offsets: "[8,0]" }), /begins at 8 and ends before, at 0/, "t"],
  ["an end beyond the file", ranges(8, [0, 16]), /cut short: it needs 16 bytes of tensor data and has 8/, "t0"],
  ["trailing bytes", ranges(9, [0, 8]), /1 bytes follow the last tensor/],
  ["data and no tensor", file("{}", 8), /8 bytes follow the last tensor/],
  ["a hole", ranges(16, [0, 4], [8, 16]), /leaves a hole before it: it begins at 8 and "t0" ends at 4/, "t1"],
  ["a hole at the start", ranges(16, [8, 16]), /begins at 8 and tensor data starts at 0/, "t0"],
  ["an overlap", ranges(16, [0, 8], [4, 16]), /overlaps another tensor: it begins at 4 and "t0" ends at 8/, "t1"],
  ["the same bytes twice", ranges(8, [0, 8], [0, 8]), /overlaps another tensor/, "t1"],
  ["an empty tensor inside another", ranges(8, [0, 8], [4, 4]), /overlaps another tensor/, "t1"],
  [
    "100,000 tensors on the same bytes",
    ranges(8, ...Array.from({ length: 100_000 }, () => [0, 8] as const)),
    /overlaps another tensor/,
  ],
  // The shape.
  ["a negative dimension", one({ shape: "[-2]" }), /has "-" where/, "t"],
  ["a fraction of a dimension", one({ shape: "[2.0]" }), /not whole/, "t"],
  ["a dimension of NaN", one({ shape: "[NaN]" }), /has "N" where/, "t"],
  ["a dimension of null", one({ shape: "[null]" }), /has "n" where/, "t"],
  ["a shape of null", one({ shape: "null" }), /where it should have "\["/, "t"],
  ["2^32 x 2^32", one({ shape: "[4294967296,4294967296]" }), /too large/, "t"],
  [
    "2^62 x 4 as the low bits of 0",
    one({ shape: "[4503599627370496,4096]", offsets: "[0,0]", data: 0 }),
    /too large/,
    "t",
  ],
  ["65 dimensions", one({ shape: `[${Array(65).fill(1)}]` }), /more than 64 dimensions/, "t"],
  [
    "a shape that needs more",
    one({ shape: "[3]" }),
    /shape \[3\] of F32, which takes 12 bytes, and offsets \[0, 8\], which hold 8/,
    "t",
  ],
  ["a shape that needs less", one({ shape: "[0]" }), /takes 0 bytes/, "t"],
  ["no dimension", one({ shape: "[]" }), /takes 4 bytes/, "t"],
  // The dtype.
  ["an unknown dtype", one({ dtype: '"F7"' }), /unknown dtype "F7"/, "t"],
  ["a lower-case dtype", one({ dtype: '"f32"' }), /unknown dtype "f32"/, "t"],
  ["a dtype from the prototype", one({ dtype: '"constructor"' }), /unknown dtype "constructor"/, "t"],
  ["a dtype of __proto__", one({ dtype: '"__proto__"' }), /unknown dtype "__proto__"/, "t"],
  ["an odd number of half bytes", one({ dtype: '"F4"', shape: "[15]" }), /ends inside a byte/, "t"],
  ["another dtype's size", one({ dtype: '"C64"' }), /shape \[2\] of C64, which takes 16 bytes/, "t"],
  // Something else altogether.
  [
    "a Git LFS pointer",
    text(`version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 9\n`),
    /git lfs pull/,
  ],
  ["a web page", text("<!DOCTYPE html><html><body>Not found"), /a web page/],
  ["a GGUF file", text("GGUF\u0003\u0000\u0000\u0000\u0000\u0000"), /GGUF/],
  ["a zip archive", text("PK\u0003\u0004\u0014\u0000\u0000\u0000\u0008\u0008"), /PyTorch pickle/],
  ["a pickle", new Uint8Array([0x80, 0x02, 0x7d, 0x71, 0, 0x58, 1, 0, 0, 0]), /Python pickle/],
];

function text(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

for (const [title, bytes, message, tensor] of hostile) {
  test(`openCheckpoint() refuses ${title}`, async () => {
    await using directory = await withTempDir();
    const path = join(directory.path, "model.safetensors");
    await writeFile(path, bytes);
    const error = await openCheckpoint(directory.path).catch((reason: unknown) => reason);
    if (!(error instanceof AmalgamError)) throw new TypeError("Expected an AmalgamError", { cause: error });
    expect(error.message).toMatch(message);
    expect(error.code).toBe("checkpoint_malformed");
    expect(error.details["file"]).toBe(path);
    if (tensor !== undefined) expect(error.details["tensor"]).toBe(tensor);
    expect(error.message).toContain("model.safetensors");
    expect(error.message.length).toBeLessThan(700);
  });
}

test("parseHeader() refuses a million tensors", () => {
  const entries = Array.from({ length: 1_000_000 }, (_, i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`);
  const bytes = text(`{${entries.join(",")}}`);
  expect(() => parseHeader(bytes, { file: "x", fileBytes: 8 + bytes.length })).toThrow("more than 250,000 tensors");
});

test("readHeader() keeps terminal escapes and text direction out of its message", async () => {
  await using directory = await withTempDir();
  const path = join(directory.path, "\u001b[31m\u202e.safetensors");
  await writeFile(path, file('{"\\u001b[2J\\n\u202e":{"dtype":"\\u0007"}}'));
  const error = await readHeader(path).catch((reason: unknown) => reason);
  expect(String(error)).toMatch(/\\u001b\[31m\\u202e\.safetensors": tensor "\\u001b\[2J\\n\\u202e": .*"\\u0007"/);
  expect(String(error)).not.toMatch(/[\p{C}]/u);
});

test("readHeader() accepts a header as long as a zip archive's first bytes say", async () => {
  await using directory = await withTempDir();
  const path = join(directory.path, "x.safetensors");
  // 0x04034b50, "PK\x03\x04", is 67,324,752; and 0x0280, how a pickle starts, is 640.
  await writeFile(path, file("{}".padEnd(640)));
  expect((await readHeader(path)).header.tensors).toEqual([]);
  await writeFile(path, file("{}".padEnd(67_324_752)));
  expect((await readHeader(path)).header.dataOffset).toBe(67_324_760);
});

test("readHeader() refuses a file cut at any 4 KiB boundary", async () => {
  await using directory = await withTempDir();
  const path = join(directory.path, "x.safetensors");
  const tensors = Array.from(
    { length: 100 },
    (_, i) => [`model.layers.${i}.weight`, randomTensor(i, [16, 16])] as const,
  );
  const whole = formatSafetensors(new Map(tensors));
  for (let size = Math.floor(whole.length / 4096) * 4096; size >= 0; size -= 4096) {
    await writeFile(path, whole);
    await truncate(path, size);
    await expect(readHeader(path), `${size} bytes`).rejects.toMatchObject({ code: "checkpoint_malformed" });
  }
});

test("readHeader() refuses what is not a regular file, without waiting", async () => {
  await using directory = await withTempDir();
  const at = (name: string): string => join(directory.path, name);
  await mkdir(at("folder.safetensors"));
  execFileSync("mkfifo", [at("pipe.safetensors")]);
  await symlink("/dev/zero", at("device.safetensors"));
  await symlink("loop.safetensors", at("loop.safetensors"));
  await expect(readHeader(at("folder.safetensors"))).rejects.toThrow("it is a directory, not a regular file");
  await expect(readHeader(at("pipe.safetensors"))).rejects.toThrow("it is a FIFO, not a regular file");
  await expect(readHeader(at("device.safetensors"))).rejects.toThrow("it is a device or a socket, not a regular file");
  await expect(readHeader(at("loop.safetensors"))).rejects.toMatchObject({ code: "path_refused" });
  await expect(readHeader(at("none.safetensors"))).rejects.toThrow("it does not exist");
});
