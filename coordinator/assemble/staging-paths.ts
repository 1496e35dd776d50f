import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { hasErrno } from "./durable.js";

/**
 * What lies beside an output while it is being made. Every name carries the generation of the process that it belongs
 * to: a number that grows each time the directory changes hands. A process that was frozen, lost the directory to
 * another one and wakes up finds nothing left under its own names, whatever step it takes next.
 *
 * Only `files` becomes the output, by one rename, so the journal and the lock stay in place through it and there is no
 * moment at which a crash could lose them.
 */
export interface StagingPaths {
  /** `<output>.amalgam-partial` */
  readonly root: string;
  readonly generation: number;
  readonly lock: string;
  readonly journal: string;
  /** The directory that becomes the output. */
  readonly files: string;
  /** The output that is being replaced, from when it is moved aside until the new one is in place. */
  readonly replaced: string;
  /** A small file with a random text, by which others prove that they see this directory. */
  readonly probe: string;
  /** What was sent of an output that goes to a server. */
  readonly uploads: string;
}

/** What an entry of a staging directory is. */
export type StagingKind =
  | "lock"
  | "journal"
  | "unfinished-journal"
  | "output"
  | "replaced"
  | "probe"
  | "uploads"
  | "unfinished-uploads";

export interface StagingEntry {
  readonly kind: StagingKind;
  readonly generation: number;
  readonly path: string;
}

export interface StagingEntries {
  readonly ours: readonly StagingEntry[];
  /** Names of entries that Amalgam did not write. */
  readonly foreign: readonly string[];
}

/** How the names of staging directories end. */
export const stagingSuffix = ".amalgam-partial";

const affixes: readonly (readonly [kind: StagingKind, prefix: string, suffix: string])[] = [
  ["lock", "lock.", ""],
  ["journal", "journal.", ".jsonl"],
  ["unfinished-journal", "journal.", ".jsonl.new"],
  ["output", "output.", ""],
  ["replaced", "replaced.", ""],
  ["probe", "probe.", ""],
  ["uploads", "uploads.", ".jsonl"],
  ["unfinished-uploads", "uploads.", ".jsonl.new"],
];

export function stagingRoot(output: string): string {
  return `${output}${stagingSuffix}`;
}

export function stagingPaths(root: string, generation: number): StagingPaths {
  const path = (kind: StagingKind): string => join(root, nameOf(kind, generation));
  return {
    root,
    generation,
    lock: path("lock"),
    journal: path("journal"),
    files: path("output"),
    replaced: path("replaced"),
    probe: path("probe"),
    uploads: path("uploads"),
  };
}

export function nameOf(kind: StagingKind, generation: number): string {
  const [, prefix = "", suffix = ""] = affixes.find((affix) => affix[0] === kind) ?? [];
  return `${prefix}${generation}${suffix}`;
}

/** Looks into a staging directory; undefined when there is none. */
export async function readStaging(root: string): Promise<StagingEntries | undefined> {
  let names: string[];
  try {
    names = await readdir(root);
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return undefined;
    throw error;
  }
  const ours: StagingEntry[] = [];
  const foreign: string[] = [];
  for (const name of names) {
    const entry = parseName(name);
    if (entry === undefined) foreign.push(name);
    else ours.push({ ...entry, path: join(root, name) });
  }
  return { ours, foreign };
}

function parseName(name: string): Omit<StagingEntry, "path"> | undefined {
  for (const [kind, prefix, suffix] of affixes) {
    if (!name.startsWith(prefix) || !name.endsWith(suffix)) continue;
    const digits = name.slice(prefix.length, name.length - suffix.length);
    const generation = Number(digits);
    if (/^[1-9]\d{0,15}$/.test(digits) && Number.isSafeInteger(generation)) return { kind, generation };
  }
  return undefined;
}

/** The entries of one kind, the highest generation first. */
export function entriesOf(entries: StagingEntries | undefined, kind: StagingKind): readonly StagingEntry[] {
  const found = entries?.ours.filter((entry) => entry.kind === kind) ?? [];
  return found.sort((a, b) => b.generation - a.generation);
}

/** The highest generation that anything here belongs to; 0 when there is nothing. */
export function latestGeneration(entries: StagingEntries | undefined): number {
  return Math.max(0, ...(entries?.ours ?? []).map(({ generation }) => generation));
}
