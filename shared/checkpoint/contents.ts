import { join } from "node:path";
import { AmalgamError } from "../errors.js";
import { quote, quoteList } from "../quote.js";
import { mapBounded } from "./bounded.js";
import type { CheckpointFile, Contents } from "./checkpoint.js";
import { TensorCollector } from "./collect.js";
import type { Header } from "./header.js";
import type { InCommon } from "./in-common.js";
import { parseIndex } from "./index-json.js";
import { type Location, resolveInside } from "./location.js";
import { type HeaderDigest, readHeader, readHeaderDigest } from "./read-header.js";
import type { Weights } from "./weights.js";

/** An index as it was read. */
export type IndexFile = {
  readonly bytes: Uint8Array;
  /** For error messages. */
  readonly name: string;
  readonly sha256: string;
};

/** Where to look, and what for. */
export type ContentsRequest = {
  readonly location: Location;
  readonly weights: Weights;
  readonly index: IndexFile | undefined;
  readonly inCommon: InCommon;
  readonly signal: AbortSignal | undefined;
};

/** Files looked at or read at once: enough to hide the latency of a network file system. */
const concurrency = 8;

/** Reads all headers, and parses those that no checkpoint had which was opened before. */
export async function readContents(request: ContentsRequest): Promise<Contents> {
  const { inCommon, index } = request;
  const known = await readIfKnown(inCommon.withIndex(index?.sha256), request);
  if (known !== undefined) return known;
  const contents = await parseContents(request);
  inCommon.add(contents, index?.sha256);
  return contents;
}

/**
 * The contents, if the headers are those of another checkpoint with the same index. Each header is read once, however many
 * others there are, and none after one that is like no other's.
 */
async function readIfKnown(
  others: readonly Contents[],
  { location, weights, index, signal }: ContentsRequest,
): Promise<Contents | undefined> {
  const [first] = others;
  if (first === undefined) return undefined;
  const names = index === undefined ? [weights.name] : first.files.map(({ name }) => name);
  const shards = await resolveShards(location, names, signal);
  let alike = others;
  await mapBounded(shards, concurrency, async ({ name, path }, i) => {
    if (alike.length === 0) return;
    signal?.throwIfAborted();
    const options = { ...shown(location, name), followLinks: false };
    // What is wrong with a file is said by whoever parses it: of the first file that is wrong, every time.
    const found = await readHeaderDigest(path, options).catch(() => undefined);
    alike = alike.filter(({ files }) => isSameFile(files[i], found));
  });
  const [known] = alike;
  return known && { ...known, files: known.files.map((file, i) => ({ ...file, ...shards[i] })) };
}

function isSameFile(known: CheckpointFile | undefined, found: HeaderDigest | undefined): boolean {
  return known !== undefined && known.headerSha256 === found?.headerSha256 && known.bytes === found.fileBytes;
}

async function parseContents({ location, weights, index, inCommon, signal }: ContentsRequest): Promise<Contents> {
  const { strings } = inCommon;
  const parsed = index && parseIndex(index.bytes, index.name, strings);
  const names = parsed === undefined ? [weights.name] : [...new Set(parsed.weightMap.values())].toSorted();
  const shards = await resolveShards(location, names, signal);
  const collector = new TensorCollector(location.directory, names, parsed);
  const inOrder = takenInOrder((header: Header) => collector.add(header));
  const files = await mapBounded(shards, concurrency, async ({ name, path }, i) => {
    signal?.throwIfAborted();
    const options = { ...shown(location, name), followLinks: false, strings };
    const { header, headerSha256, fileBytes } = await readHeader(path, options);
    inOrder(header, i);
    const { dataOffset, metadata } = header;
    return { name, path, bytes: fileBytes, headerSha256, dataOffset, metadata };
  });
  return { files, ...collector.finish() };
}

/** Hands things on in the order of their places, in whichever order they come, and lets go of them. */
function takenInOrder<Thing>(take: (thing: Thing) => void): (thing: Thing, place: number) => void {
  const early = new Map<number, Thing>();
  let next = 0;
  return (thing, place) => {
    early.set(place, thing);
    for (let ready = early.get(next); ready !== undefined; ready = early.get(next)) {
      early.delete(next);
      next += 1;
      take(ready);
    }
  };
}

function shown({ directory }: Location, name: string): { readonly name: string } {
  return { name: join(directory, name) };
}

type ResolvedShard = { readonly name: string; readonly path: string };

/** The real path of every shard. Missing ones are named together, since one that is missing rarely is alone. */
async function resolveShards(
  location: Location,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<readonly ResolvedShard[]> {
  const paths = await mapBounded(names, concurrency, async (name) => {
    signal?.throwIfAborted();
    return resolveInside(location, name);
  });
  const shards: ResolvedShard[] = [];
  const missing: string[] = [];
  for (const [i, name] of names.entries()) {
    const path = paths[i];
    if (path === undefined) missing.push(name);
    else shards.push({ name, path });
  }
  if (missing.length === 0) return shards;
  const problem = `${missing.length} of ${names.length} files are missing: ${quoteList(missing)}`;
  const { directory } = location;
  throw new AmalgamError("checkpoint_malformed", `Cannot open checkpoint ${quote(directory)}: ${problem}`, {
    details: { file: directory },
  });
}
