import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { parseHeader } from "../../shared/checkpoint/header.js";
import { lengthBytes } from "../../shared/checkpoint/header-limits.js";
import { formatIndex, indexFileName } from "../../shared/checkpoint/index-json.js";
import { type MergedFile, type SourceFile, SourceFileSchema } from "../../shared/gen/amalgam/v1/agent_pb.js";
import type { Holding } from "./ledger.js";
import { pagesOf } from "./scratch.js";

/** A merged model in memory: a checkpoint without config.json. */
export interface Weights {
  readonly folder: string;
  /** What is opened: the one file, or the folder of several. */
  readonly checkpoint: string;
  /** Set when it is merged. */
  readonly sources: readonly SourceFile[];
  readonly holding: Holding;
}

/** What the files of a model take in memory. */
export function weightBytes(files: readonly MergedFile[]): number {
  return files.reduce((total, { bytes }) => total + pagesOf(Number(bytes)), 0);
}

/** Makes a folder of files with headers and sizes, and nothing behind the headers yet. Returns their paths. */
export function layOut(folder: string, files: readonly MergedFile[]): readonly string[] {
  mkdirSync(folder, { mode: 0o700 });
  if (files.length > 1) writeFileSync(join(folder, indexFileName), indexOf(files), { mode: 0o600 });
  return files.map(({ name, header, bytes }) => {
    const path = join(folder, name);
    const descriptor = openSync(path, "wx", 0o600);
    try {
      for (let at = 0; at < header.length; ) at += writeSync(descriptor, header, at, header.length - at, at);
      ftruncateSync(descriptor, Number(bytes));
    } finally {
      closeSync(descriptor);
    }
    return path;
  });
}

function indexOf(files: readonly MergedFile[]): string {
  const places = new Map<string, string>();
  let total = 0;
  for (const { name, header, bytes } of files) {
    const context = { file: name, fileBytes: Number(bytes) };
    for (const tensor of parseHeader(header.subarray(lengthBytes), context).tensors) places.set(tensor.name, name);
    total += Number(bytes) - header.length;
  }
  return formatIndex(places, total);
}

/** A file as it is now. */
export function sourceNow(path: string): SourceFile {
  const { size, mtimeMs } = statSync(path);
  return create(SourceFileSchema, { path, bytes: BigInt(size), modifiedMs: mtimeMs });
}

/** Merged models that nobody uses at the moment, until their memory is wanted: the next rung of a trial finds them. */
export class KeptWeights {
  readonly #kept = new Map<string, Weights>();

  /** What is found is used, and stays until its holding is released. */
  find(name: string): Weights | undefined {
    const weights = this.#kept.get(name);
    weights?.holding.use();
    return weights;
  }

  /** Does nothing when there is one of the same name by now. */
  add(name: string, weights: Weights): void {
    if (!this.#kept.has(name)) this.#kept.set(name, weights);
  }

  /** Whether these are the ones kept under the name. */
  has(name: string, { folder }: Pick<Weights, "folder">): boolean {
    return this.#kept.get(name)?.folder === folder;
  }

  /** Removes the files and gives the memory back. */
  remove(name: string, { folder, holding }: Pick<Weights, "folder" | "holding">): void {
    if (this.has(name, { folder })) this.#kept.delete(name);
    rmSync(folder, { recursive: true, force: true });
    holding.discard();
  }
}
