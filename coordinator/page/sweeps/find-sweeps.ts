import { lstat, readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { sweepFiles } from "../../sweep/store/store.js";

/** A folder that has a sweep in it. */
export interface FoundSweep {
  readonly name: string;
  readonly folder: string;
  /** Another one whenever what is on record may have changed. */
  readonly stamp: string;
  readonly changedMs: number;
}

/** Folders in one folder that are looked into, and sweeps that are shown: those that changed last. */
const maxEntries = 2_000;
const maxSweeps = 200;

/** Files whose changes are shown, and others that a report is made of. */
const watched = [sweepFiles.state, sweepFiles.trials, sweepFiles.result];
const others = [sweepFiles.text, sweepFiles.examples, sweepFiles.layers];

/**
 * The sweeps in these folders: a folder itself, or those right below it. What cannot be read has none, and neither has a
 * folder in which one of the files is a link or a pipe: nobody is shown what lies elsewhere.
 */
export async function findSweeps(folders: readonly string[]): Promise<readonly FoundSweep[]> {
  const found = new Map<string, FoundSweep>();
  for (const folder of folders.map((one) => resolve(one))) {
    const own = await lookInto(basename(folder), folder);
    const entries = own === undefined ? await foldersIn(folder) : [];
    const below = await Promise.all(entries.map((entry) => lookInto(entry, join(folder, entry))));
    for (const sweep of [own, ...below]) {
      if (sweep === undefined) continue;
      // The same name in two folders: both are shown.
      const name = found.has(sweep.name) ? join(basename(folder), sweep.name) : sweep.name;
      if (!found.has(name)) found.set(name, { ...sweep, name });
    }
  }
  return [...found.values()].sort((a, b) => b.changedMs - a.changedMs).slice(0, maxSweeps);
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).slice(0, maxEntries);
}

async function lookInto(name: string, folder: string): Promise<FoundSweep | undefined> {
  const look = (file: string) => lstat(join(folder, file)).catch(() => undefined);
  if ((await look(sweepFiles.state)) === undefined) return undefined;
  const all = await Promise.all([...watched, ...others].map(look));
  if (!all.every((file) => file === undefined || file.isFile())) return undefined;
  const facts = all.slice(0, watched.length);
  const stamp = facts.map((file) => `${file?.mtimeMs ?? 0}/${file?.size ?? 0}`).join(" ");
  return { name, folder, stamp, changedMs: Math.max(...facts.map((file) => file?.mtimeMs ?? 0)) };
}
