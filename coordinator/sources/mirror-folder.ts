import { randomUUID } from "node:crypto";
import { mkdir, open, rename, rm, utimes } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { formatBytes, toSafeNumber } from "../../shared/bytes.js";
import { mapBounded } from "../../shared/checkpoint/bounded.js";
import { lengthBytes, maxHeaderBytes } from "../../shared/checkpoint/header-limits.js";
import { AmalgamError } from "../../shared/errors.js";
import type { FolderEntry } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { formatCount, quote } from "../../shared/quote.js";
import type { AgentClient } from "../dispatch/agents.js";
import { type AgentFile, fetchRange } from "./fetch-range.js";

/** Where an agent has a file, and when it was last modified there: a mirror's own time may be rounded. */
export interface MirroredFile {
  readonly path: string;
  readonly modifiedMs: number;
}

export interface MirrorFolderOptions {
  readonly client: Pick<AgentClient, "list" | "read">;
  /** On the agent's machine: a folder, or one safetensors file in it. */
  readonly path: string;
  /** Where the mirror of `path` goes. */
  readonly target: string;
  readonly signal?: AbortSignal | undefined;
}

/** What a plan reads of a model beside its weights: configuration, index, tokenizer, templates. */
const smallFile = /\.(?:json|jinja|txt|model)$/;
const maxSmallBytes = 64 << 20;
const maxSmallBytesInAll = 256 << 20;
const maxFiles = 10_000;

/** Nine headers in ten are smaller. */
const firstBytes = 64 << 10;
const concurrency = 4;
const listTimeoutMs = 60_000;

/**
 * Makes a folder from which a model that an agent has can be planned: small files whole, of safetensors files the header
 * and behind it a hole of the size of the data. Returns where each of them really is, by its path in the mirror.
 */
export async function mirrorFolder(options: MirrorFolderOptions): Promise<ReadonlyMap<string, MirroredFile>> {
  const { client, path, target, signal } = options;
  const isFile = path.endsWith(".safetensors");
  const [folder, into] = isFile ? [posix.dirname(path), dirname(target)] : [path, target];
  const { entries } = await client.list({ path: folder }, { timeoutMs: listTimeoutMs, ...(signal && { signal }) });
  const wanted = entries.filter(({ name, isFolder }) => !isFolder && isWanted(name, isFile ? target : undefined));
  assertSize(path, wanted);
  await mkdir(into, { recursive: true });
  const mirrored = await mapBounded(wanted, concurrency, async ({ name, bytes, modifiedMs }) => {
    const file = { path: posix.join(folder, name), bytes, modifiedMs };
    const copy = join(into, name);
    const start = isWeights(name)
      ? await readHeader(client, file, signal)
      : await fetchRange(client, file, 0, toSafeNumber(bytes), signal);
    await writeMirror(copy, start, file);
    return [copy, { path: file.path, modifiedMs }] as const;
  });
  return new Map(mirrored);
}

function isWeights(name: string): boolean {
  return name.endsWith(".safetensors");
}

/** Names come from the agent, and become names here. */
function isWanted(name: string, onlyWeights: string | undefined): boolean {
  if (name.includes("/") || name.includes("\\") || /\p{C}/u.test(name) || name.startsWith(".")) return false;
  if (isWeights(name)) return onlyWeights === undefined || onlyWeights.endsWith(`/${name}`);
  return smallFile.test(name);
}

function assertSize(path: string, files: readonly FolderEntry[]): void {
  const refuse = (problem: string): AmalgamError =>
    new AmalgamError("checkpoint_malformed", `Cannot mirror ${quote(path)}: ${problem}`, { details: { file: path } });
  if (files.length > maxFiles) throw refuse(`it has ${formatCount(files.length)} files, the limit is ${maxFiles}`);
  let total = 0n;
  for (const { name, bytes } of files) {
    if (isWeights(name)) continue;
    total += bytes;
    if (bytes <= BigInt(maxSmallBytes)) continue;
    throw refuse(`${quote(name)} has ${formatBytes(Number(bytes))}, above the limit of ${formatBytes(maxSmallBytes)}`);
  }
  if (total <= BigInt(maxSmallBytesInAll)) return;
  const [has, limit] = [formatBytes(Number(total)), formatBytes(maxSmallBytesInAll)];
  throw refuse(`its files beside the weights have ${has}, above the limit of ${limit}`);
}

/** The header of a safetensors file, its length included; what is none is for the planner to refuse. */
async function readHeader(
  client: MirrorFolderOptions["client"],
  file: AgentFile,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const fileBytes = toSafeNumber(file.bytes);
  const first = await fetchRange(client, file, 0, Math.min(firstBytes, fileBytes), signal);
  if (first.length < lengthBytes) return first;
  const length = new DataView(first.buffer).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) return first;
  const end = Math.min(lengthBytes + Number(length), fileBytes);
  if (end <= first.length) return first;
  const rest = await fetchRange(client, file, first.length, end - first.length, signal);
  return Buffer.concat([first, rest]);
}

/**
 * By a rename: another coordinator may plan from the mirror that is there, or write the same one. What is unfinished has
 * a name that no reader of checkpoints takes for a part of the model.
 */
async function writeMirror(copy: string, start: Uint8Array, { bytes, modifiedMs }: AgentFile): Promise<void> {
  const unfinished = `${copy}.${randomUUID()}`;
  try {
    await using file = await open(unfinished, "wx", 0o600);
    await file.writeFile(start);
    // The rest is a hole: it takes no space.
    await file.truncate(toSafeNumber(bytes));
    await file.close();
    // What a resumed job compares; the same for the same file, if rounded.
    await utimes(unfinished, modifiedMs / 1000, modifiedMs / 1000);
    await rename(unfinished, copy);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}
