import { lstat, mkdir, readdir } from "node:fs/promises";
import { dirname } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Plan } from "../plan/types.js";
import { checkPieces } from "./check-pieces.js";
import { hasErrno, syncDirectory, writeError } from "./durable.js";
import { type JobHistory, jobRecord, readHistory } from "./job-history.js";
import { Journal } from "./journal.js";
import { removeEmpty, removeStaged } from "./leftovers.js";
import { Lock } from "./lock.js";
import { inspectOutput } from "./output-directory.js";
import { type PieceResult, Pieces } from "./pieces.js";
import { assertSpace } from "./space.js";
import { StagedFiles } from "./staged-files.js";
import { type ResumeSummary, restoreReplaced, Staging, type Step } from "./staging.js";
import { isStagingEntry, type StagingPaths, stagingPaths } from "./staging-paths.js";
import { StatisticsLog } from "./statistics-log.js";

/** Tries to begin while others finish and tidy up. */
const maxTries = 3;

export interface StagingOptions {
  /** Amalgam's own. Versions may round differently, so one does not go on with what another began. */
  readonly version: string;
  /** Replace another output of ours, and begin again where what was staged belongs to another plan. @default false */
  readonly overwrite?: boolean | undefined;
  /** Ends the reading of staged files. */
  readonly signal?: AbortSignal | undefined;
  /** How long a lock's holder on another machine may be silent. @default 30 seconds */
  readonly lockPatienceMs?: number | undefined;
  /** For tests. @default nothing */
  readonly step?: Step | undefined;
}

/**
 * Begins or goes on with making a plan's output, in `<output>.amalgam-partial/` beside it. Everything that can be wrong
 * with the place is found here: something else in it (`output_refused`), another coordinator at work
 * (`output_refused`), a disk too small (`out_of_space`). Check with `inspectOutput()` first: an output that is complete
 * already is refused here.
 */
export async function openStaging(plan: Plan, outputDirectory: string, options: StagingOptions): Promise<Staging> {
  const { directory } = await assertUnfinished(plan, outputDirectory, options);
  const layout = stagingPaths(directory);
  const lock = await takeLock(layout, options.lockPatienceMs);
  try {
    await options.step?.("locked");
    const history = await readUsableHistory(plan, directory, layout, options);
    // Once more, since the one who held the lock until now may have finished it.
    await assertUnfinished(plan, directory, options);
    return await open(plan, directory, layout, lock, history, options);
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    await removeEmpty(layout.root);
    throw error;
  }
}

async function assertUnfinished(plan: Plan, path: string, options: StagingOptions): Promise<{ directory: string }> {
  const { state, directory } = await inspectOutput(plan, path, options);
  if (state !== "complete") return { directory };
  throw new AmalgamError("output_refused", `Cannot write to ${quote(path)}: it holds this very output, complete`);
}

async function takeLock(layout: StagingPaths, patienceMs: number | undefined): Promise<Lock> {
  for (let tries = 1; ; tries += 1) {
    await createRoot(layout);
    try {
      return await Lock.take(layout.lock, { patienceMs });
    } catch (error) {
      // Another process finished, and removed the directory that was there a moment ago.
      const isGone = error instanceof AmalgamError && error.details["errno"] === "ENOENT";
      if (!isGone || tries === maxTries) throw error;
    }
  }
}

async function createRoot({ root }: StagingPaths): Promise<void> {
  try {
    await mkdir(root);
    await syncDirectory(dirname(root));
  } catch (error) {
    if (!hasErrno(error, "EEXIST")) throw writeError(error, "create", root);
    if (!(await lstat(root)).isDirectory()) throw refused(root, "it is not a directory, remove it");
  }
}

/** What this job did before. What another job left is refused, or with `overwrite` removed. */
async function readUsableHistory(
  plan: Plan,
  directory: string,
  layout: StagingPaths,
  options: StagingOptions,
): Promise<JobHistory | undefined> {
  const foreign = (await readdir(layout.root)).find((name) => !isStagingEntry(name));
  if (foreign !== undefined) throw refused(layout.root, `Amalgam did not write ${quote(foreign)} in it, remove it`);
  const history = await readHistory(layout.journal, plan, options.version);
  if (history !== undefined && !("reason" in history)) return history;
  if (history !== undefined && options.overwrite !== true) {
    throw refused(layout.root, `${history.reason}, finish that job first or discard its work with --overwrite`);
  }
  await restoreReplaced(directory, layout);
  await removeStaged(layout);
  return undefined;
}

async function open(
  plan: Plan,
  outputDirectory: string,
  layout: StagingPaths,
  lock: Lock,
  history: JobHistory | undefined,
  { version, overwrite = false, signal, step = () => undefined }: StagingOptions,
): Promise<Staging> {
  const { pieces, statistics } = history ?? { pieces: new Pieces(plan), statistics: new StatisticsLog() };
  const files = new StagedFiles(plan, layout.files);
  await assertSpace(layout.root, await files.missingBytes(), outputDirectory);
  const journal = await Journal.open(layout.journal, history?.trustedBytes);
  try {
    if (history === undefined) {
      await journal.append([jobRecord(plan, version)]);
      await syncDirectory(layout.root);
    }
    await step("job-recorded");
    await files.prepare(layout.files);
    await step("files-created");
    // The journal is synced before a piece counts and the staged files are not, so after a power cut it can know pieces
    // whose bytes never reached the disk.
    const changed = await checkPieces(plan, files.paths, pieces, { signal });
    for (const piece of changed) pieces.drop(piece);
    await journal.append(changed.map(({ tensor, begin, end }) => ({ type: "dropped", tensor, begin, end })));
    const resumed = summarize(history, pieces, changed);
    const parts = { plan, version, outputDirectory, overwrite, layout, lock, journal, files, pieces, statistics };
    return new Staging({ ...parts, resumed, step });
  } catch (error) {
    await journal[Symbol.asyncDispose]();
    throw error;
  }
}

function summarize(history: JobHistory | undefined, pieces: Pieces, changed: readonly PieceResult[]): ResumeSummary {
  const kept = [...pieces.done.keys()].flatMap((tensor) => pieces.of(tensor));
  const total = (list: readonly PieceResult[]): number => list.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    isResumed: history !== undefined,
    keptPieces: kept.length,
    keptBytes: total(kept),
    redonePieces: changed.length,
    redoneBytes: total(changed),
    problem: history?.problem,
  };
}

function refused(root: string, problem: string): AmalgamError {
  return new AmalgamError("output_refused", `Cannot use staging directory ${quote(root)}: ${problem}`, {
    details: { staging: root },
  });
}
