import type { Dirent } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { stagingSuffix } from "./staging-paths.js";

/** How the folder with the outputs of a recipe's earlier documents ends. */
export const stagesSuffix = ".amalgam-stages";

/** Folders within folders that are looked into. */
const maxDepth = 6;
/** Directories looked into, so that a path such as "/" ends some time. */
const maxDirectories = 100_000;

/**
 * `staging`: an output in the making. `begun`: one whose maker died before it had its name. `stages`: outputs of earlier
 * documents that a later one is made of.
 */
export type FoundKind = "staging" | "begun" | "stages";

export interface Found {
  readonly kind: FoundKind;
  readonly path: string;
  /** The output that it was for. */
  readonly output: string;
}

export interface Search {
  readonly found: readonly Found[];
  /** Why something was not looked into, each a sentence. */
  readonly warnings: readonly string[];
}

/** Looks for what merges leave below folders. Symbolic links are not followed. */
export async function findStagings(folders: readonly string[]): Promise<Search> {
  const found: Found[] = [];
  const warnings: string[] = [];
  let left = maxDirectories;
  const queue = folders.map((path) => ({ path, depth: 0 }));
  for (let at = 0; at < queue.length; at += 1) {
    const { path, depth } = queue[at] ?? { path: "", depth: maxDepth };
    const known = classify(path);
    if (known !== undefined && (await lstat(path).catch(() => undefined))?.isDirectory() === true) {
      found.push(known);
      continue;
    }
    if (left === 0) {
      warnings.push(`Only the first ${maxDirectories} folders were looked into, name fewer at a time`);
      break;
    }
    left -= 1;
    for (const entry of await entriesOf(path, warnings)) {
      if (entry.isDirectory() && depth < maxDepth) queue.push({ path: join(path, entry.name), depth: depth + 1 });
    }
  }
  return { found: [...new Map(found.map((one) => [one.path, one])).values()], warnings };
}

function classify(path: string): Found | undefined {
  const name = basename(path);
  const [, staging] = /^(.+)\.amalgam-partial$/s.exec(name) ?? [];
  if (staging !== undefined) return { kind: "staging", path, output: path.slice(0, -stagingSuffix.length) };
  const [, stages] = /^(.+)\.amalgam-stages$/s.exec(name) ?? [];
  if (stages !== undefined) return { kind: "stages", path, output: path.slice(0, -stagesSuffix.length) };
  const [, begun] = /^.+(\.amalgam-partial\.[0-9a-f-]{36})$/s.exec(name) ?? [];
  return begun === undefined ? undefined : { kind: "begun", path, output: path.slice(0, -begun.length) };
}

async function entriesOf(path: string, warnings: string[]): Promise<readonly Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    warnings.push(`Not looked into: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}
