import { dtypeBits, isDtype } from "../../../shared/checkpoint/dtypes.js";
import { formatHeader, type Header, parseHeader } from "../../../shared/checkpoint/header.js";
import { assertHeaderLength, lengthBytes, maxHeaderBytes } from "../../../shared/checkpoint/header-limits.js";
import { mutateBytes } from "../mutate/bytes.js";
import { assertHolds, type FuzzTarget, verdictOf } from "../target.js";
import { madeHeader } from "./made-header.js";

/** Whole safetensors files, whose data may be left out: a file is as long as its header says, give or take. */
export const header: FuzzTarget = {
  name: "header",
  seeds: () => sound.map(fileOf),
  mutate: (input, other, random) => {
    // Nine in ten lengths are right, so that the header behind them is looked at.
    const json = random(4) === 0 ? Buffer.from(madeHeader(random)) : input.subarray(lengthBytes);
    const edited = random(8) === 0 ? json : mutateJson(json, other.subarray(lengthBytes), random);
    return random(10) > 0 ? fileOf(Buffer.from(edited)) : mutateJson(input, other, random);
  },
  run: (file) =>
    verdictOf(["checkpoint_malformed"], () => {
      const context = contextOf(file);
      if (file.length < lengthBytes) return;
      const length = Buffer.from(file).readBigUInt64LE();
      assertHeaderLength(length, context);
      const bytes = file.subarray(lengthBytes, lengthBytes + Number(length));
      const wrong = disagreement(bytes, parseHeader(bytes, context), context.fileBytes - lengthBytes - bytes.length);
      assertHolds(wrong === undefined, `${wrong}`);
    }),
  covers: /^shared\/checkpoint\/(?:header|json-scanner|json-string|layout|tensor-entry|tensor-bytes|numbers)/,
};

const sound: readonly string[] = [
  new TextDecoder().decode(
    formatHeader([
      { name: "model.embed", dtype: "F16", shape: [2, 4] },
      { name: "model.norm", dtype: "F64", shape: [] },
    ]).subarray(lengthBytes),
  ),
  '{"__metadata__":{"format":"pt","\\u00e9":"\\ud83d\\ude42"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}',
  '{"b":{"shape":[8],"data_offsets":[16,24],"dtype":"U8"},"a":{"dtype":"BF16","shape":[2,4],"data_offsets":[0,16]}}  ',
  '{"z":{"dtype":"F4","shape":[0],"data_offsets":[0,0]},"é":{"dtype":"I64","shape":[3,1],"data_offsets":[0,24]}}',
];

const mutateJson = mutateBytes([
  ...'{}[],:"\\ .\u0000\u007f\t\n',
  ...["null", "true", "[]", "{}", '""', "é", "\ufeff", "\\u0061", "\\ud800", "\\ud83d\\ude42", "\\/"],
  ...['"dtype"', '"shape"', '"data_offsets"', '"__metadata__"', '"__proto__"', '"toString"', '"F32"', '"f32"', '"F4"'],
  ...['"F6_E2M3"', '"F8_E8M0"', '"C64"', '"BOOL"', ',"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}', "[0,0]"],
]);

/** A file with this header: the length before it, and as much data as its largest offset says, of which none is kept. */
function fileOf(json: string | Uint8Array): Uint8Array {
  const bytes = Buffer.from(json);
  const length = Buffer.alloc(lengthBytes);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([length, bytes]);
}

/** The file around a header: its data is as long as the last of its offsets says. */
export function contextOf(file: Uint8Array): { readonly file: string; readonly fileBytes: number } {
  const ends = Buffer.from(file.subarray(lengthBytes))
    .toString("latin1")
    .matchAll(/"data_offsets":\[\d+,(\d{1,7})\]/g);
  const dataBytes = Math.max(0, ...[...ends].map(([, end]) => Number(end)));
  return { file: "x.safetensors", fileBytes: Math.min(file.length, maxHeaderBytes) + dataBytes };
}

/** A second opinion, written another way: JSON.parse, then the format's rules one after the other. */
export function disagreement(bytes: Uint8Array, { tensors, metadata }: Header, dataBytes: number): string | undefined {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  const parsed: Record<string, unknown> = JSON.parse(text);
  const names = Object.keys(parsed).filter((name) => name !== "__metadata__");
  // A duplicate would be one key here and two there.
  if (names.length !== tensors.length) return "it has another number of tensors";
  const given = (parsed["__metadata__"] ?? {}) as Record<string, unknown>;
  if (Object.keys(given).length !== metadata.size) return "it has another number of metadata";
  for (const [key, value] of metadata) if (given[key] !== value) return `its metadata say something else of ${key}`;
  const covered = new Uint8Array(dataBytes);
  for (const { name, dtype, shape, begin, end } of tensors) {
    const written = JSON.stringify(sorted({ dtype, shape, data_offsets: [begin, end] }));
    if (JSON.stringify(sorted(parsed[name] as object)) !== written) return `tensor ${name} is not ${written}`;
    if (!isDtype(dtype)) return `there is no dtype ${dtype}`;
    const elements = shape.reduce((count, dimension) => count * BigInt(dimension), 1n);
    if (elements * BigInt(dtypeBits(dtype)) !== 8n * BigInt(end - begin)) return `tensor ${name} has another size`;
    for (let i = begin; i < end; i++) covered[i] = (covered[i] ?? 2) + 1;
  }
  return covered.every((times) => times === 1) ? undefined : "bytes are covered more or less than once";
}

function sorted(object: object): unknown {
  return Object.entries(object).toSorted(([left], [right]) => (left < right ? -1 : 1));
}
