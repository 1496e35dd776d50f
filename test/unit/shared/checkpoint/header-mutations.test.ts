import { expect, test } from "vitest";
import { dtypeBits, isDtype } from "../../../../shared/checkpoint/dtypes.js";
import { formatHeader, type Header, parseHeader } from "../../../../shared/checkpoint/header.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { randomFrom } from "../../../support/checkpoints.js";

const dataBytes = 24;
const rounds = 20_000;

/** Valid headers of 24 bytes of data, with something of everything the grammar has. */
const seeds: readonly string[] = [
  formatted(),
  '{"__metadata__":{"format":"pt","\\u00e9":"\\ud83d\\ude42"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}',
  '{"b":{"shape":[8],"data_offsets":[16,24],"dtype":"U8"},"a":{"dtype":"BF16","shape":[2,4],"data_offsets":[0,16]}}  ',
  '{"z":{"dtype":"F4","shape":[0],"data_offsets":[0,0]},"é":{"dtype":"I64","shape":[3,1],"data_offsets":[0,24]}}',
];

function formatted(): string {
  const header = formatHeader([
    { name: "model.embed", dtype: "F16", shape: [2, 4] },
    { name: "model.norm", dtype: "F64", shape: [] },
  ]);
  return new TextDecoder().decode(header.subarray(8));
}

/** What hostile and careless writers put into headers, to be spliced in by chance. */
const fragments = [
  ...'{}[],:"\\ 0123456789-.eE\u0000\u007f\t\n',
  ...["null", "true", "NaN", "[]", "{}", '""', "-0", "1e3", "9007199254740993", "18446744073709551615", "é", "\ufeff"],
  ...['"dtype"', '"shape"', '"data_offsets"', '"__metadata__"', '"__proto__"', '"F32"', '"f32"', "\\u0061", "\\ud800"],
].map((fragment) => new TextEncoder().encode(fragment));

/** One to three random edits: a byte changed, a range removed, repeated or exchanged for a fragment. */
function mutate(source: Uint8Array, random: () => number): Uint8Array {
  const below = (limit: number): number => Math.floor(random() * limit);
  let bytes = Buffer.from(source);
  for (let edits = 1 + below(3); edits > 0; edits--) {
    const at = below(bytes.length + 1);
    const until = Math.min(bytes.length, at + below(random() < 0.8 ? 4 : 60));
    const middle = [
      [],
      [Uint8Array.of(below(256))],
      [fragments[below(fragments.length)] ?? new Uint8Array()],
      [bytes.subarray(at, until), bytes.subarray(at, until)],
    ][below(4)];
    bytes = Buffer.concat([bytes.subarray(0, at), ...(middle ?? []), bytes.subarray(until)]);
  }
  return bytes;
}

/** A second opinion, written another way: JSON.parse, then the format's rules one after the other. */
function check(bytes: Uint8Array, header: Header): string | undefined {
  const parsed: Record<string, unknown> = JSON.parse(
    new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
  );
  const names = Object.keys(parsed).filter((name) => name !== "__metadata__");
  // A duplicate would be one key here and two there.
  if (names.length !== header.tensors.length) return "another number of tensors";
  const metadata = (parsed["__metadata__"] ?? {}) as Record<string, unknown>;
  if (Object.keys(metadata).length !== header.metadata.size) return "another number of metadata";
  for (const [key, value] of header.metadata) if (metadata[key] !== value) return `metadata ${key}`;
  const covered = new Uint8Array(dataBytes);
  for (const { name, dtype, shape, begin, end } of header.tensors) {
    const written = JSON.stringify(sorted({ dtype, shape, data_offsets: [begin, end] }));
    if (JSON.stringify(sorted(parsed[name] as object)) !== written) return `tensor ${name} is not ${written}`;
    if (!isDtype(dtype)) return `dtype ${dtype}`;
    const elements = shape.reduce((count, dimension) => count * BigInt(dimension), 1n);
    if (elements * BigInt(dtypeBits(dtype)) !== 8n * BigInt(end - begin)) return `size of ${name}`;
    for (let i = begin; i < end; i++) covered[i] = (covered[i] ?? 2) + 1;
  }
  return covered.every((times) => times === 1) ? undefined : "bytes covered more or less than once";
}

function sorted(object: object): unknown {
  return Object.entries(object).toSorted(([left], [right]) => (left < right ? -1 : 1));
}

test("parseHeader() only accepts mutated headers that a second reader finds sound", () => {
  const random = randomFrom(20260813);
  let accepted = 0;
  for (let round = 0; round < rounds; round++) {
    const source = new TextEncoder().encode(seeds[round % seeds.length] ?? "");
    const bytes = mutate(source, random);
    try {
      const header = parseHeader(bytes, { file: "x", fileBytes: 8 + bytes.length + dataBytes });
      accepted += 1;
      const problem = check(bytes, header);
      if (problem !== undefined) throw new TypeError(`Accepted a header with a wrong ${problem}`);
    } catch (error) {
      if (error instanceof AmalgamError && error.code === "checkpoint_malformed") continue;
      throw new TypeError(`Round ${round}: ${Buffer.from(bytes).toString("latin1")}`, { cause: error });
    }
  }
  // Both verdicts must be common, or the mutations test nothing.
  expect(accepted).toBeGreaterThan(rounds / 100);
  expect(accepted).toBeLessThan(rounds / 2);
});

test("parseHeader() refuses every prefix of a header", () => {
  for (const seed of seeds) {
    const bytes = new TextEncoder().encode(seed.trimEnd());
    for (let length = 0; length < bytes.length; length++) {
      const prefix = bytes.subarray(0, length);
      expect(() => parseHeader(prefix, { file: "x", fileBytes: 8 + length + dataBytes })).toThrow(AmalgamError);
    }
  }
});
