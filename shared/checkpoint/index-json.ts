import { AmalgamError } from "../errors.js";
import { formatCount, quote } from "../quote.js";
import { maxNameBytes } from "./header-limits.js";
import { JsonScanner } from "./json-scanner.js";
import { type JsonObject, type JsonValue, readJsonValue } from "./json-value.js";
import { assertShardName } from "./shard-name.js";
import type { StringTable } from "./string-table.js";

/** The usual name of an index; a checkpoint of one file has none. */
export const indexFileName = "model.safetensors.index.json";

/** Largest index read. Kimi-K2's, with 139,583 tensors, takes some 13 MB. */
export const maxIndexBytes = 64 << 20;

/** Most tensors of one checkpoint, seven times the largest published one. */
export const maxTensors = 1_000_000;

/** Most shards of one checkpoint; the largest published have some 200. */
export const maxShards = 10_000;

export type CheckpointIndex = {
  /** Tensor name → file name, in the order of the index. Every file name is safe to join to the index's directory. */
  readonly weightMap: ReadonlyMap<string, string>;
  /** Bytes of all tensors; undefined when the index does not say or does not say a whole number. */
  readonly totalSize: number | undefined;
  /** Everything under `metadata`, `total_size` included. */
  readonly metadata: Readonly<Record<string, unknown>>;
};

/** Parses an index such as `model.safetensors.index.json`; `file` is its name for error messages, `strings` see `parseHeader()`. */
export function parseIndex(bytes: Uint8Array, file: string, strings?: StringTable): CheckpointIndex {
  if (bytes.length > maxIndexBytes) {
    throw malformed(`it has ${formatCount(bytes.length)} bytes, above the limit of ${formatCount(maxIndexBytes)}`);
  }
  if (bytes[0] === 0xef) throw malformed("it starts with a byte order mark");
  const scanner = new JsonScanner(bytes, (problem, at) => malformed(`it ${problem} (byte ${at})`), strings);
  const seen = new Set<string>();
  let weightMap: ReadonlyMap<string, string> | undefined;
  let metadata: JsonObject = {};
  scanner.expect(0x7b);
  let more = !scanner.skip(0x7d);
  while (more) {
    const key = scanner.string(maxNameBytes);
    if (seen.has(key)) throw malformed(`it has the key ${quote(key)} twice`);
    seen.add(key);
    scanner.expect(0x3a);
    if (key === "weight_map") weightMap = readWeightMap(scanner, file);
    else {
      const value = readJsonValue(scanner, { duplicateKeys: "refuse" });
      if (key === "metadata") metadata = asObject(value) ?? {};
    }
    more = scanner.another(0x7d);
  }
  if (scanner.peek() !== -1) throw scanner.unexpected("the end");
  if (weightMap === undefined) throw malformed('it has no "weight_map"');
  const totalSize = metadata["total_size"];
  return {
    weightMap,
    totalSize: typeof totalSize === "number" && Number.isSafeInteger(totalSize) ? totalSize : undefined,
    metadata,
  };

  function malformed(problem: string): AmalgamError {
    return new AmalgamError("checkpoint_malformed", `Cannot read index ${quote(file)}: ${problem}`, {
      details: { file },
    });
  }
}

function readWeightMap(scanner: JsonScanner, file: string): ReadonlyMap<string, string> {
  const weightMap = new Map<string, string>();
  // One string per shard, however many tensors name it; each name is checked once.
  const shards = new Map<string, string>();
  scanner.expect(0x7b);
  let more = !scanner.skip(0x7d);
  while (more) {
    const tensor = scanner.string(maxNameBytes);
    scanner.expect(0x3a);
    const named = scanner.string(maxNameBytes);
    let shard = shards.get(named);
    if (shard === undefined) {
      assertShardName(named, file);
      shards.set(named, named);
      shard = named;
    }
    if (weightMap.size === weightMap.set(tensor, shard).size) {
      throw scanner.problem(`lists tensor ${quote(tensor)} twice`);
    }
    if (weightMap.size > maxTensors) throw scanner.problem(`lists more than ${formatCount(maxTensors)} tensors`);
    if (shards.size > maxShards) throw scanner.problem(`lists more than ${formatCount(maxShards)} files`);
    more = scanner.another(0x7d);
  }
  return weightMap;
}

function asObject(value: JsonValue): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/**
 * The text of an index, laid out like the one transformers writes: `metadata` first, tensors sorted by name, so that the
 * same checkpoint gives the same bytes. `metadata` adds to `total_size`.
 */
export function formatIndex(
  weightMap: ReadonlyMap<string, string>,
  totalSize: number,
  metadata: ReadonlyMap<string, string> = new Map(),
): string {
  for (const shard of new Set(weightMap.values())) assertShardName(shard, indexFileName);
  const facts = [`    "total_size": ${totalSize}`];
  for (const [key, text] of metadata) facts.push(`    ${JSON.stringify(key)}: ${JSON.stringify(text)}`);
  const sorted = [...weightMap].toSorted(([left], [right]) => (left < right ? -1 : 1));
  const tensors = sorted.map(([tensor, shard]) => `    ${JSON.stringify(tensor)}: ${JSON.stringify(shard)}`);
  return `{\n  "metadata": {\n${facts.join(",\n")}\n  },\n  "weight_map": {\n${tensors.join(",\n")}\n  }\n}\n`;
}
