/** A broken safetensors file, what its error must say, and the tensor it must name. */
export type HostileFile = readonly [title: string, file: Uint8Array, message: RegExp, tensor?: string];

/** A file from a header, the bytes of tensor data that follow it, and a length that may lie. */
export function hostileFile(header: string | Uint8Array, dataBytes = 0, length?: bigint): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

/** A file with one tensor "t" of eight bytes, some of its facts replaced. */
function one(facts: { dtype?: string; shape?: string; offsets?: string; more?: string; data?: number }): Uint8Array {
  const { dtype = '"F32"', shape = "[2]", offsets = "[0,8]", more = "", data = 8 } = facts;
  return hostileFile(`{"t":{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}${more}}}`, data);
}

/** A file with tensors of the given byte ranges. */
function ranges(dataBytes: number, ...tensors: (readonly [number, number])[]): Uint8Array {
  const entries = tensors.map(([begin, end], i) => {
    return `"t${i}":{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]}`;
  });
  return hostileFile(`{${entries.join(",")}}`, dataBytes);
}

const good = '{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';

/** Files that break one rule of the format each, and other things that are taken for it. */
export const hostileFiles: readonly HostileFile[] = [
  // The length.
  ["an empty file", new Uint8Array(), /has 0 bytes, fewer than 8/],
  ["a file of seven bytes", new Uint8Array(7), /has 7 bytes, fewer than 8/],
  ["length 0", hostileFile("", 8), /its length is 0 bytes/],
  ["length 1", hostileFile("{", 0), /its length is 1 bytes/],
  ["length 7 of a longer header", hostileFile(good, 8, 7n), /ends inside|where it should have/],
  ["a length beyond the file", hostileFile(good, 8, 1000n), /its length is 1000 bytes, \d+ beyond the end/],
  ["a length one beyond the file", hostileFile(good, 0, BigInt(good.length + 1)), /1 beyond the end/],
  ["length 100,000,001", hostileFile(good, 8, 100_000_001n), /above the limit of 100,000,000/],
  ["length 2^63", hostileFile(good, 8, 2n ** 63n), /9223372036854775808 bytes, above the limit/],
  ["length 2^64 - 1", hostileFile(good, 8, 2n ** 64n - 1n), /18446744073709551615 bytes, above the limit/],
  // The text.
  ["an array", hostileFile("[]"), /starts with byte 0x5b/],
  ["a leading space", hostileFile(` ${good}`, 8), /starts with byte 0x20/],
  ["a byte order mark", hostileFile(`\ufeff${good}`, 8), /byte order mark/],
  ["NUL bytes", hostileFile(new Uint8Array(64)), /starts with byte 0x00/],
  ["a NUL between tokens", hostileFile('{\u0000"t":1}'), /byte 0x00 where/],
  ["NUL padding", hostileFile(`${good}\u0000\u0000`, 8), /only spaces after the last brace/],
  ["newline padding", hostileFile(`${good}\n`, 8), /only spaces after the last brace/],
  ["trailing junk", hostileFile(`${good}x`, 8), /only spaces after the last brace/],
  ["a second header", hostileFile(`${good}${good}`, 8), /only spaces after the last brace/],
  [
    "invalid UTF-8 in a name",
    hostileFile(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x7b, 0x7d, 0x7d)),
    /not valid UTF-8/,
  ],
  ["an overlong encoding", hostileFile(Uint8Array.of(0x7b, 0x22, 0xc0, 0x80, 0x22, 0x3a, 0x7d)), /not valid UTF-8/],
  ["an unpaired surrogate", hostileFile('{"\\ud800":{}}'), /invalid escape/],
  ["a raw newline in a name", hostileFile('{"a\nb":{}}'), /control character/],
  ["a missing brace", hostileFile(good.slice(0, -1), 8), /has the end where it should have "," or "}"/],
  ["a trailing comma", hostileFile(`${good.slice(0, -1)},}`, 8), /has "}" where it should have """/],
  ["a comment", hostileFile(`{/**/${good.slice(1)}`, 8), /has "\/" where/],
  ["single quotes", hostileFile("{'t':{}}"), /has "'" where/],
  ["200,000 levels of nesting", hostileFile('{"t":'.repeat(200_000)), /unknown key "t"|where it should have/],
  [
    "200,000 open brackets",
    hostileFile(`{"t":{"shape":${"[".repeat(200_000)}`),
    /where it should have a whole number/,
    "t",
  ],
  // The keys.
  ["a duplicate tensor", hostileFile(`{${good.slice(1, -1)},${good.slice(1, -1)}}`, 8), /it is listed twice/, "t"],
  [
    "a duplicate in another spelling",
    hostileFile(`{${good.slice(1, -1)},${good.slice(1, -1).replace("t", "\\u0074")}}`, 8),
    /it is listed twice/,
    "t",
  ],
  ["duplicate metadata", hostileFile('{"__metadata__":{},"__metadata__":{}}'), /it is listed twice/, "__metadata__"],
  ["a duplicate metadata key", hostileFile('{"__metadata__":{"a":"1","a":"2"}}'), /metadata key "a" twice/],
  [
    "a duplicate __proto__",
    hostileFile('{"__metadata__":{"__proto__":"1","__proto__":"2"}}'),
    /metadata key "__proto__" twice/,
  ],
  ["null metadata", hostileFile('{"__metadata__":null}'), /has "n" where/],
  ["a metadata number", hostileFile('{"__metadata__":{"a":1}}'), /has "1" where/],
  ["metadata in a list", hostileFile('{"__metadata__":["a"]}'), /where it should have "{"/],
  ["a duplicate dtype", one({ more: ',"dtype":"F32"' }), /has "dtype" twice/, "t"],
  ["a duplicate shape", one({ more: ',"shape":[2]' }), /has "shape" twice/, "t"],
  ["duplicate offsets", one({ more: ',"data_offsets":[0,8]' }), /has "data_offsets" twice/, "t"],
  ["an unknown key", one({ more: ',"stride":[1]' }), /unknown key "stride"/, "t"],
  ["an endless key", one({ more: `,"${"k".repeat(100_000)}":1` }), /a string of more than 72 bytes/, "t"],
  ["no dtype", hostileFile('{"t":{"shape":[],"data_offsets":[0,0]}}'), /has no "dtype"/, "t"],
  ["no shape", hostileFile('{"t":{"dtype":"U8","data_offsets":[0,1]}}', 1), /has no "shape"/, "t"],
  ["no offsets", hostileFile('{"t":{"dtype":"U8","shape":[1]}}', 1), /has no "data_offsets"/, "t"],
  ["an empty tensor", hostileFile('{"t":{}}'), /has no "dtype"/, "t"],
  ["a tensor in a list", hostileFile('{"t":["F32",[2],[0,8]]}', 8), /where it should have "{"/, "t"],
  ["a name of 1 MB", hostileFile(`{"${"n".repeat(1 << 20)}":{}}`), /a string of more than 4,096 bytes/],
  [
    "10,001 metadata entries",
    hostileFile(`{"__metadata__":{${Array.from({ length: 10_001 }, (_, i) => `"${i}":""`)}}}`),
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
  ["data and no tensor", hostileFile("{}", 8), /8 bytes follow the last tensor/],
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
