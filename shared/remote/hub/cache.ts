import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { maxIndexBytes, parseIndex } from "../../checkpoint/index-json.js";
import { readSmallFile } from "../../checkpoint/regular-file.js";
import { type HubAddress, isCommit } from "../hub-address.js";
import { parseRemote } from "../url.js";
import { chooseFiles } from "../wanted-files.js";
import { hubCacheDirectory } from "./settings.js";

// The layout is the Hub's tools' own: https://huggingface.co/docs/huggingface_hub/guides/manage-cache

/** A model's folder in the Hub's cache. */
export interface HubCachePaths {
  /** Of one model, all revisions: `models--owner--name`. */
  readonly model: string;
  /** Of files, by their digests. */
  readonly blobs: string;
  /** Of commits, by the names of branches and tags. */
  readonly refs: string;
  /** Of links to blobs, by commit. */
  readonly snapshots: string;
  /** Of files that are locked while somebody writes a blob. */
  readonly locks: string;
}

export function hubCachePaths(cache: string, { owner, name }: HubAddress): HubCachePaths {
  const folder = `models--${owner}--${name}`;
  const model = join(cache, folder);
  return {
    model,
    blobs: join(model, "blobs"),
    refs: join(model, "refs"),
    snapshots: join(model, "snapshots"),
    locks: join(cache, ".locks", folder),
  };
}

/** What the Hub's cache has of a model. */
export interface CachedModel {
  /** The folder of a snapshot, or the file in it that the URL names. */
  readonly directory: string;
  readonly commit: string;
}

/**
 * Looks for a model of the Hub's that its own tools, or {@link downloadModel}, put into the cache of this machine: all
 * weights that belong together, and a configuration. A branch or a tag is what it was when it was last downloaded, so
 * ask with a commit where that matters. Undefined: it is not there, or not whole.
 */
export async function findInHubCache(
  url: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<CachedModel | undefined> {
  const hub = parseRemote(url).address?.hub;
  if (hub === undefined) return undefined;
  const { refs, snapshots } = hubCachePaths(hubCacheDirectory(env), hub);
  const revision = hub.revision ?? "main";
  const commit = isCommit(revision) ? revision : await readRef(join(refs, revision));
  if (commit === undefined) return undefined;
  const directory = join(snapshots, commit, ...hub.path);
  return (await isWhole(directory)) ? { directory, commit } : undefined;
}

async function readRef(path: string): Promise<string | undefined> {
  const commit = (await readFile(path, "utf8").catch(() => "")).trim();
  return isCommit(commit) ? commit : undefined;
}

/** Links to blobs that are gone count as files that are not there. */
async function isWhole(path: string): Promise<boolean> {
  if (path.endsWith(".safetensors")) return isFile(path);
  const { names, index } = chooseFiles(await readdir(path).catch(() => []));
  const isSetUp = names.some((name) => name === "config.json" || name === "adapter_config.json");
  const weights = names.filter((name) => name.endsWith(".safetensors"));
  const shards = index === undefined ? [] : await shardsOf(join(path, index));
  // The index of these is still to come.
  const isBegun = index === undefined && weights.some((name) => /-\d{5,}-of-\d{5,}\.safetensors$/.test(name));
  if (!isSetUp || isBegun || shards === undefined || weights.length + shards.length === 0) return false;
  const found = await Promise.all([...names, ...shards].map((name) => isFile(join(path, name))));
  return found.every(Boolean);
}

/** Undefined: there is no telling. */
async function shardsOf(index: string): Promise<readonly string[] | undefined> {
  try {
    const { weightMap } = parseIndex(await readSmallFile(index, { maxBytes: maxIndexBytes }), index);
    return [...new Set(weightMap.values())];
  } catch {
    return undefined;
  }
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true;
}
