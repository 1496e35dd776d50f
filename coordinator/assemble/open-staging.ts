import { randomUUID } from "node:crypto";
import type { Clock } from "../../shared/clock.js";
import { quote } from "../../shared/quote.js";
import type { Plan } from "../plan/types.js";
import { checkPieces } from "./check-pieces.js";
import { hasErrno, writeDurably } from "./durable.js";
import type { JobHistory, Software } from "./job-history.js";
import { Journal } from "./journal.js";
import { removeEmpty, removeFinished, removeStaged } from "./leftovers.js";
import { type Authority, Lock, refusedRoot } from "./lock.js";
import { NotHere } from "./not-here.js";
import { inspectOutput } from "./output-directory.js";
import { type PieceResult, Pieces } from "./pieces.js";
import { assertSpace } from "./space.js";
import { StagedFiles } from "./staged-files.js";
import { type ResumeSummary, Staging, type Step } from "./staging.js";
import { stagingRoot } from "./staging-paths.js";
import { StatisticsLog } from "./statistics-log.js";
import {
  adoptFiles,
  adoptJournal,
  barPredecessors,
  beginFiles,
  readPredecessor,
  removePredecessors,
} from "./take-over.js";

/** Tries to read a journal while its owner, who is no longer that, replaces it. */
const maxTries = 4;

export interface StagingOptions extends Software {
  /** Replace another output of ours, and begin again where what was staged belongs to another plan. @default false */
  readonly overwrite?: boolean | undefined;
  /** Another coordinator began this very job: what is staged is its work and not to be overwritten. @default false */
  readonly isBegun?: boolean | undefined;
  /** Ends the reading of staged files. */
  readonly signal?: AbortSignal | undefined;
  /** The lease on a job under which a cluster's coordinator works. Default: an ordinary process, without any. */
  readonly authority?: Authority | undefined;
  /** How long a lock's holder that may be dead may be silent. @default 30 seconds, with an authority 5 */
  readonly lockPatienceMs?: number | undefined;
  /** Called when the storage has not answered for 30 seconds, while the staging is open. @default nothing */
  readonly onSilent?: (() => void) | undefined;
  /** A folder that keeps the journal of the finished job. Default: the journal is removed with the rest. */
  readonly keepJournal?: string | undefined;
  /** What silence is measured by. @default the system's */
  readonly clock?: Clock | undefined;
  /** For tests. @default nothing */
  readonly step?: Step | undefined;
}

/**
 * Begins or goes on with making a plan's output, in `<output>.amalgam-partial/` beside it; `"complete"` when there is
 * nothing left to do. Everything that can be wrong with the place is found here: something else in it
 * (`output_refused`), another coordinator at work (`output_refused`, or `fenced` when it leads by a later lease), a disk
 * too small (`out_of_space`).
 *
 * Whoever opens it last has it: another process that had it before ends with `fenced`, whenever it goes on.
 */
export async function openStaging(
  plan: Plan,
  outputDirectory: string,
  options: StagingOptions,
): Promise<Staging | "complete"> {
  const { state, directory } = await inspectOutput(plan, outputDirectory, options);
  if (state === "complete") return "complete";
  const { authority, lockPatienceMs: patienceMs, clock, onSilent } = options;
  const lock = await Lock.take(stagingRoot(directory), { authority, patienceMs, clock, onSilent });
  try {
    const staging = await openLocked(plan, directory, lock, options);
    if (staging !== "complete") return staging;
    await removeFinished(lock, plan);
    await lock[Symbol.asyncDispose]();
    await removeEmpty(lock.paths.root);
    return "complete";
  } catch (error) {
    const reason = await lock.reasonOf(error);
    await lock[Symbol.asyncDispose]();
    await removeEmpty(lock.paths.root);
    throw reason;
  }
}

async function openLocked(
  plan: Plan,
  directory: string,
  lock: Lock,
  options: StagingOptions,
): Promise<Staging | "complete"> {
  const { step = () => undefined } = options;
  const isComplete = async (): Promise<boolean> => (await inspectOutput(plan, directory, options)).state === "complete";
  await step("locked");
  await barPredecessors(lock, directory);
  await step("barred");
  // Once more, since the one who held the lock until now may have finished it.
  if (await isComplete()) return "complete";
  const usable = await readUsable(plan, lock, options);
  try {
    await (usable === undefined ? beginFiles(lock) : adoptFiles(lock));
    await step("files-adopted");
    // It may have done so up to now; from here on it cannot.
    if (await isComplete()) return "complete";
    return await open(plan, directory, lock, usable, { ...options, step });
  } catch (error) {
    if (usable === undefined && (await lock.isHeld())) await removeStaged(lock);
    throw error;
  }
}

interface Usable {
  readonly path: string;
  readonly history: JobHistory;
}

/** What this job did before. What another job left is refused, or with `overwrite` not looked at. */
async function readUsable(plan: Plan, lock: Lock, options: StagingOptions): Promise<Usable | undefined> {
  const found = await readPredecessor(lock, plan, options);
  if (found?.history === undefined) return undefined;
  const { path, history } = found;
  if (!("reason" in history)) return { path, history };
  const { reason, isOfOtherKernels = false } = history;
  if (options.isBegun === true && isOfOtherKernels) throw new NotHere(`${quote(lock.paths.root)}: ${reason}`);
  if (options.overwrite === true) return undefined;
  throw refusedRoot(lock.paths.root, `${reason}, finish that job first or discard its work with --overwrite`);
}

async function open(
  plan: Plan,
  outputDirectory: string,
  lock: Lock,
  usable: Usable | undefined,
  options: StagingOptions & { readonly step: Step },
): Promise<Staging> {
  const { version, overwrite = false, signal, keepJournal, step, authority } = options;
  const hasAuthority = authority !== undefined;
  const layout = lock.paths;
  const files = new StagedFiles(plan, layout.files);
  await assertSpace(layout.root, await files.missingBytes(), outputDirectory);
  const { history, journalBytes } = await takeJournal(plan, lock, usable, options);
  await step("journal-adopted");
  await removePredecessors(lock, "journal", "unfinished-journal", "probe");
  const { pieces, statistics } = history ?? { pieces: new Pieces(plan), statistics: new StatisticsLog() };
  const journal = await Journal.open(layout.journal, journalBytes, { assertOurs: () => lock.assertHeld() });
  try {
    await step("job-recorded");
    await files.prepare();
    await step("files-created");
    const probe = { path: layout.probe, token: randomUUID() };
    await writeDurably(probe.path, probe.token);
    // The journal is synced before a piece counts and the staged files are not, so after a power cut it can know pieces
    // whose bytes never reached the disk.
    const changed = await checkPieces(plan, files.paths, pieces, { signal });
    for (const piece of changed) pieces.drop(piece);
    await journal.append(changed.map(({ tensor, begin, end }) => ({ type: "dropped", tensor, begin, end })));
    const resumed = summarize(history, pieces, changed);
    const parts = { plan, version, outputDirectory, overwrite, hasAuthority, keepJournal, layout, lock, probe };
    return new Staging({ ...parts, journal, files, pieces, statistics, resumed, step });
  } catch (error) {
    await journal[Symbol.asyncDispose]();
    throw error;
  }
}

interface TakenJournal {
  readonly history: JobHistory | undefined;
  readonly journalBytes: number;
}

async function takeJournal(
  plan: Plan,
  lock: Lock,
  usable: Usable | undefined,
  options: StagingOptions,
): Promise<TakenJournal> {
  let from = usable;
  for (let tries = 1; ; tries += 1) {
    const trusted = from && { path: from.path, bytes: from.history.trustedBytes };
    try {
      return { history: from?.history, journalBytes: await adoptJournal(lock, plan, options, trusted) };
    } catch (error) {
      if (!hasErrno(error, "ENOENT") || tries === maxTries) throw error;
      await lock.assertHeld();
      from = await readUsable(plan, lock, options);
    }
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
