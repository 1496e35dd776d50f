import type { Stats } from "node:fs";
import { lstat, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Clock, systemClock } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { type Found, findStagings } from "./find-stagings.js";
import { removeEmpty, removeStaged, restoreReplaced, stagedPlan } from "./leftovers.js";
import { Lock } from "./lock.js";
import { isTaken } from "./lock-rivals.js";
import { isComplete } from "./output-directory.js";
import { readHolder } from "./read-holder.js";
import { entriesOf, readStaging, type StagingEntries, stagingRoot } from "./staging-paths.js";

export interface GarbageOptions {
  /** Work that can be gone on from is removed too, once nobody touched it for so long. Default: it is kept */
  readonly olderThanMs?: number | undefined;
  /** Say what would be removed, and change nothing. @default false */
  readonly dryRun?: boolean | undefined;
  /** By the clock that files are dated with, in milliseconds since 1970. @default now */
  readonly now?: number | undefined;
  /** How long the holder of a lock on another machine may be silent. @default 10 seconds */
  readonly patienceMs?: number | undefined;
  /** @default the system's */
  readonly clock?: Clock | undefined;
}

export interface GarbageItem {
  readonly path: string;
  /** What it takes on the disk. */
  readonly bytes: number;
  /** On a dry run: would be. */
  readonly isRemoved: boolean;
  /** Why it was removed or kept, as a clause. */
  readonly reason: string;
}

export interface GarbageReport {
  readonly items: readonly GarbageItem[];
  readonly warnings: readonly string[];
}

/** Ten beats of a holder that lives. */
const defaultPatienceMs = 10_000;
/** A job locks nothing while it plans, and has its folder of earlier documents then. */
const stagesRestMs = 3_600_000;

/** Outputs of earlier documents, finished or not, gates of a mixture, and the mirrors of models that only agents have. */
const stagesEntry = /^(?:nodes|gates|[0-9a-f]{16}(?:\.amalgam-partial(?:\.[0-9a-f-]{36})?)?)$/;

interface Verdict {
  readonly isRemoved: boolean;
  readonly reason: string;
}

/**
 * Removes what merges left below folders: what nobody can go on from, and with `olderThanMs` what nobody went on with.
 * Never what somebody works on, never what Amalgam did not write, and an output that was moved aside to be replaced goes
 * back to its place.
 */
export async function collectGarbage(folders: readonly string[], options: GarbageOptions = {}): Promise<GarbageReport> {
  const { found, warnings } = await findStagings(folders.map((folder) => resolve(folder)));
  const items: GarbageItem[] = [];
  for (const one of found) {
    const { bytes, touchedMs } = await measure(one.path);
    const context = { ...options, ageMs: (options.now ?? Date.now()) - touchedMs };
    try {
      items.push({ path: one.path, bytes, ...(await collect(one, context)) });
    } catch (error) {
      items.push({ path: one.path, bytes, isRemoved: false, reason: AmalgamError.from(error).message });
    }
  }
  return { items, warnings };
}

type Context = GarbageOptions & { readonly ageMs: number };

function collect(found: Found, context: Context): Promise<Verdict> {
  if (found.kind === "stages") return collectStages(found, context);
  return found.kind === "begun" ? collectBegun(found, context) : collectStaging(found, context);
}

async function collectStaging({ path, output }: Found, context: Context): Promise<Verdict> {
  const entries = await readStaging(path);
  const busy = await whyBusy(path, entries, context);
  if (busy !== undefined) return kept(busy);
  const before = await judge(output, entries, context);
  if (!before.isRemoved || context.dryRun === true) return before;
  {
    await using lock = await Lock.take(path, { patienceMs: context.patienceMs ?? defaultPatienceMs });
    // Once more, now that nobody else can change it.
    const verdict = await judge(output, await readStaging(path), context);
    if (!verdict.isRemoved) return verdict;
    for (const replaced of entriesOf(await readStaging(path), "replaced")) {
      await restoreReplaced(replaced.path, output, path);
    }
    await removeStaged(lock);
  }
  await removeEmpty(path);
  return before;
}

/** Whether there is something to go on from. */
async function judge(output: string, entries: StagingEntries | undefined, context: Context): Promise<Verdict> {
  const [foreign] = entries?.foreign ?? [];
  if (foreign !== undefined) return kept(`Amalgam did not write ${quote(foreign)} in it`);
  const digest = await stagedPlan(entries);
  if (digest === undefined) return removed("nothing was recorded in it");
  if (entriesOf(entries, "output").length === 0) return removed("no files are staged in it");
  if (await isComplete(output, digest)) return removed("its output is complete");
  return byAge(context, "the same merge can go on from it");
}

async function collectBegun({ path }: Found, context: Context): Promise<Verdict> {
  const entries = await readStaging(path);
  const busy = await whyBusy(path, entries, context);
  if (busy !== undefined) return kept(busy);
  const other = entries?.ours.find(({ kind }) => kind !== "lock")?.path ?? entries?.foreign[0];
  if (other !== undefined) return kept(`Amalgam did not write ${quote(other)} in it`);
  if (context.dryRun !== true) await rm(path, { recursive: true, force: true });
  return removed("nothing was recorded in it");
}

async function collectStages({ path, output }: Found, context: Context): Promise<Verdict> {
  const names = await readdir(path);
  const foreign = names.find((name) => !stagesEntry.test(name));
  if (foreign !== undefined) return kept(`Amalgam did not write ${quote(foreign)} in it`);
  const within = names.filter((name) => name.length > 16).map((name) => join(path, name));
  for (const root of [stagingRoot(output), ...within]) {
    const busy = await whyBusy(root, await readStaging(root), context);
    if (busy !== undefined) return kept(busy);
  }
  const isOver = context.ageMs > stagesRestMs && (await isComplete(output));
  const verdict = isOver ? removed("its output is complete") : byAge(context, "the same merge can go on from it");
  if (verdict.isRemoved && context.dryRun !== true) await rm(path, { recursive: true, force: true });
  return verdict;
}

/** Who works there, if anybody does. */
async function whyBusy(
  root: string,
  entries: StagingEntries | undefined,
  { patienceMs = defaultPatienceMs, clock = systemClock }: Context,
): Promise<string | undefined> {
  const [lock] = entriesOf(entries, "lock");
  const holder = lock && (await readHolder(lock.path));
  if (lock === undefined || holder === "gone") return undefined;
  if (!(await isTaken(lock.path, holder, { patienceMs, clock }))) return undefined;
  if (holder === undefined) return `a process is at work in ${quote(root)}`;
  return `process ${holder.pid} on ${quote(holder.host)} is at work in it`;
}

function byAge({ ageMs, olderThanMs }: Context, use: string): Verdict {
  if (olderThanMs !== undefined && ageMs > olderThanMs) return removed("nobody touched it for long enough");
  return kept(olderThanMs === undefined ? `${use}, and no age was given` : `${use}, and it is not old enough`);
}

/** What a directory takes on the disk, and when something in it was last written. */
async function measure(path: string): Promise<{ bytes: number; touchedMs: number }> {
  let [bytes, touchedMs] = [0, 0];
  const paths = [path];
  for (const one of paths) {
    const stats: Stats | undefined = await lstat(one).catch(() => undefined);
    if (stats === undefined) continue;
    bytes += stats.blocks * 512;
    touchedMs = Math.max(touchedMs, stats.mtimeMs);
    if (!stats.isDirectory()) continue;
    for (const name of await readdir(one).catch(() => [])) paths.push(join(one, name));
  }
  return { bytes, touchedMs };
}

function removed(reason: string): Verdict {
  return { isRemoved: true, reason };
}

function kept(reason: string): Verdict {
  return { isRemoved: false, reason };
}
