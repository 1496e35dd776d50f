import { join } from "node:path";
import { AmalgamError } from "../errors.js";
import { quote, quoteList } from "../quote.js";
import { mapBounded } from "./bounded.js";
import type { Checkpoint } from "./checkpoint.js";
import { collectTensors } from "./collect.js";
import { readConfig } from "./config.js";
import { type CheckpointIndex, maxIndexBytes, parseIndex } from "./index-json.js";
import { type Location, locate, resolveInside } from "./location.js";
import { readHeader } from "./read-header.js";
import { fileError, readSmallFile } from "./regular-file.js";
import { chooseWeights } from "./weights.js";

export type { Checkpoint, CheckpointFile, CheckpointTensor } from "./checkpoint.js";

export type OpenOptions = {
  /** Further folders that links in the checkpoint may lead to; without one they must stay inside. @default none */
  readonly allowedRoots?: readonly string[];
  readonly signal?: AbortSignal;
};

/** Files looked at or read at once: enough to hide the latency of a network file system. */
const concurrency = 8;

/**
 * Opens a checkpoint in the layout of the Hugging Face Hub: a folder with `model.safetensors`, or with shards and an
 * index, or one `.safetensors` file. Only headers, the index and `config.json` are read. A broken or hostile checkpoint
 * is a `checkpoint_malformed`, one that points out of its folder a `path_refused`; both name the file, and the tensor
 * where there is one.
 */
export async function openCheckpoint(path: string, options: OpenOptions = {}): Promise<Checkpoint> {
  try {
    return await open(await locate(path, options.allowedRoots ?? []), options.signal);
  } catch (error) {
    throw fileError(error, path);
  }
}

async function open(location: Location, signal: AbortSignal | undefined): Promise<Checkpoint> {
  const { directory } = location;
  const weights = await chooseWeights(location);
  const index = weights.kind === "index" ? await readIndex(location, weights.name) : undefined;
  const names = index === undefined ? [weights.name] : [...new Set(index.weightMap.values())].toSorted();
  const shards = await resolveShards(location, names, signal);
  const headers = await mapBounded(shards, concurrency, async (shard) => {
    signal?.throwIfAborted();
    return { ...shard, ...(await readHeader(shard.path, { name: join(directory, shard.name), followLinks: false })) };
  });
  const { tensors, warnings } = collectTensors(directory, headers, index);
  const { beside } = weights;
  const ignored =
    beside === undefined || names.includes(beside) ? [] : [`${quote(beside)} lies beside the index and is ignored`];
  const config = await readConfig(location);
  return {
    directory,
    root: location.roots[0],
    files: headers.map(({ name, path, header, headerSha256, fileBytes }) => {
      return { name, path, bytes: fileBytes, headerSha256, dataOffset: header.dataOffset, metadata: header.metadata };
    }),
    tensors,
    config: config?.value,
    configText: config?.text,
    warnings: [...ignored, ...warnings],
  };
}

async function readIndex(location: Location, name: string): Promise<CheckpointIndex> {
  const path = await resolveInside(location, name);
  const shown = join(location.directory, name);
  if (path === undefined) throw malformed(location, `${quote(name)} is a link that leads nowhere`);
  return parseIndex(await readSmallFile(path, { name: shown, maxBytes: maxIndexBytes, followLinks: false }), shown);
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
  throw malformed(location, `${missing.length} of ${names.length} files are missing: ${quoteList(missing)}`);
}

function malformed(location: Location, problem: string): AmalgamError {
  return new AmalgamError("checkpoint_malformed", `Cannot open checkpoint ${quote(location.directory)}: ${problem}`, {
    details: { file: location.directory },
  });
}
