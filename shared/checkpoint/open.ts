import { createHash } from "node:crypto";
import { join } from "node:path";
import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";
import type { Checkpoint } from "./checkpoint.js";
import { readConfig } from "./config.js";
import { type IndexFile, readContents } from "./contents.js";
import { InCommon } from "./in-common.js";
import { maxIndexBytes } from "./index-json.js";
import { type Location, locate, resolveInside } from "./location.js";
import { fileError, readSmallFile } from "./regular-file.js";
import { chooseWeights } from "./weights.js";

export type { Checkpoint, CheckpointFile, CheckpointTensor } from "./checkpoint.js";

export type OpenOptions = {
  /** Further folders that links in the checkpoint may lead to; without one they must stay inside. @default none */
  readonly allowedRoots?: readonly string[];
  readonly signal?: AbortSignal;
  /** What was found in others that are opened with it. @default nothing */
  readonly inCommon?: InCommon;
};

/**
 * Opens a checkpoint in the layout of the Hugging Face Hub: a folder with `model.safetensors`, or with shards and an
 * index, or one `.safetensors` file. Only headers, the index and `config.json` are read. A broken or hostile checkpoint
 * is a `checkpoint_malformed`, one that points out of its folder a `path_refused`; both name the file, and the tensor
 * where there is one.
 */
export async function openCheckpoint(path: string, options: OpenOptions = {}): Promise<Checkpoint> {
  const { allowedRoots = [], inCommon = new InCommon(), signal } = options;
  try {
    return await open(await locate(path, allowedRoots), inCommon, signal);
  } catch (error) {
    throw fileError(error, path);
  }
}

async function open(location: Location, inCommon: InCommon, signal: AbortSignal | undefined): Promise<Checkpoint> {
  const weights = await chooseWeights(location);
  const index = weights.kind === "index" ? await readIndex(location, weights.name) : undefined;
  const { files, tensors, warnings } = await readContents({ location, weights, index, inCommon, signal });
  const { beside } = weights;
  const isBesides = beside !== undefined && !files.some(({ name }) => name === beside);
  const config = await readConfig(location);
  return {
    directory: location.directory,
    root: location.roots[0],
    files,
    tensors,
    config: config?.value,
    configText: config?.text,
    warnings: [...(isBesides ? [`${quote(beside)} lies beside the index and is ignored`] : []), ...warnings],
  };
}

async function readIndex(location: Location, file: string): Promise<IndexFile> {
  const { directory } = location;
  const path = await resolveInside(location, file);
  if (path === undefined) {
    const problem = `${quote(file)} is a link that leads nowhere`;
    throw new AmalgamError("checkpoint_malformed", `Cannot open checkpoint ${quote(directory)}: ${problem}`, {
      details: { file: directory },
    });
  }
  const name = join(directory, file);
  const bytes = await readSmallFile(path, { name, maxBytes: maxIndexBytes, followLinks: false });
  return { bytes, name, sha256: createHash("sha256").update(bytes).digest("hex") };
}
