import { AmalgamError } from "../../shared/errors.js";
import { formatCount, quote } from "../../shared/quote.js";
import { unlessAborted } from "../../shared/unless-aborted.js";
import { type ElementRange, missingRanges } from "../plan/ranges.js";
import type { Plan } from "../plan/types.js";
import { checkPieces } from "./check-pieces.js";
import { Digests } from "./digests.js";
import type { Journal } from "./journal.js";
import type { StatisticsEntry } from "./journal-records.js";
import { removeEmpty, removeStaged, restoreReplaced } from "./leftovers.js";
import type { Lock } from "./lock.js";
import type { JournalRecord } from "./parse-record.js";
import { type PieceResult, type Pieces, tensorOf } from "./pieces.js";
import type { StagedFiles } from "./staged-files.js";
import type { StagingPaths } from "./staging-paths.js";
import type { StatisticsLog } from "./statistics-log.js";

/** Which attempt made a piece; recorded to find out later what went wrong where, and not part of the output. */
export interface Attempt {
  readonly unit: number;
  readonly epoch: number;
  readonly agent: string;
}

/** What was found when the staging directory was opened. */
export interface ResumeSummary {
  /** Whether an earlier run of this job left something to go on from. */
  readonly isResumed: boolean;
  readonly keptPieces: number;
  readonly keptBytes: number;
  /** Pieces that an earlier run finished and whose bytes are not sound, to be computed again. */
  readonly redonePieces: number;
  readonly redoneBytes: number;
  /** Damage in the journal's middle, as a sentence. */
  readonly problem: string | undefined;
}

/** Called at every step that a crash could fall between; tests crash there. */
export type Step = (name: string) => void | Promise<void>;

/** A file in the staging directory; who finds this token in it sees the same directory. */
export interface Probe {
  readonly path: string;
  readonly token: string;
}

export interface StagingParts {
  readonly plan: Plan;
  readonly version: string;
  readonly outputDirectory: string;
  readonly overwrite: boolean;
  /** A coordinator of a cluster leads the job. */
  readonly hasAuthority: boolean;
  /** See `StagingOptions.keepJournal`. */
  readonly keepJournal: string | undefined;
  readonly layout: StagingPaths;
  readonly lock: Lock;
  readonly probe: Probe;
  readonly journal: Journal;
  readonly files: StagedFiles;
  readonly pieces: Pieces;
  readonly statistics: StatisticsLog;
  readonly resumed: ResumeSummary;
  readonly step: Step;
}

/** Entries of one statistics record, so that no line of the journal grows with the model. */
const entriesPerRecord = 1_000;

/**
 * The output while it is being made: files that fill up in any order, and the journal of what is in them. Everything
 * that was accepted survives a crash; disposing keeps it for the next run, and `commit()` makes it the output.
 */
export class Staging implements AsyncDisposable {
  /** For the commit. */
  readonly parts: StagingParts;
  readonly #digests: Digests;
  readonly #stop = new AbortController();
  /** By tensor, what another attempt may write to after it was accepted. */
  readonly #contested = new Map<number, ElementRange[]>();
  #onWhole: (file: number) => void = () => undefined;
  #committed = false;

  constructor(parts: StagingParts) {
    this.parts = parts;
    this.#digests = new Digests(parts.plan, parts.files.paths, parts.pieces, this.#stop.signal);
    for (const file of parts.plan.files.keys()) this.#digests.advance(file);
  }

  /** The staged files, by place in Plan.files: what agents that see this file system write into. */
  get paths(): readonly string[] {
    return this.parts.files.paths;
  }

  /** Grows whenever the staging directory changes hands, and is never given twice: what orders to agents are fenced by. */
  get generation(): number {
    return this.parts.lock.generation;
  }

  get probe(): Probe {
    return this.parts.probe;
  }

  /** What is in place, by place in Plan.tensors, in order. A live view; see `missingRanges()`. */
  get done(): ReadonlyMap<number, readonly ElementRange[]> {
    return this.parts.pieces.done;
  }

  /** Results of statistics passes, by pass. */
  get statistics(): ReadonlyMap<number, readonly StatisticsEntry[]> {
    return this.parts.statistics.byPass;
  }

  get resumed(): ResumeSummary {
    return this.parts.resumed;
  }

  /**
   * Accepts pieces whose bytes are in place. They count, and survive a crash, when the promise resolves. A piece that is
   * in place already is ignored; one that overlaps others without being covered by them is a bug of the caller. Of a
   * batch with a receipt that cannot be right, a `chunk_corrupt`, nothing is accepted. `fenced` when another process took
   * over the staging directory, as for everything else here.
   */
  async accept(results: readonly PieceResult[], attempt: Attempt): Promise<void> {
    const { journal, plan, resumed } = this.parts;
    const added = this.#add(results);
    // An earlier attempt at these may live on somewhere, one of the coordinator that died before us included.
    if (attempt.epoch > 1 || added.length < results.length || resumed.isResumed) this.contest(results);
    await journal.append(added.map((result) => pieceRecord(result, attempt)));
    for (const file of new Set(added.map(({ tensor }) => tensorOf(plan, tensor).file))) {
      this.#digests.advance(file);
      this.parts.files.syncAhead(file);
      if (this.parts.pieces.isFileWhole(file)) this.#onWhole(file);
    }
    await this.parts.step("accepted");
  }

  /**
   * Says that more than one attempt was started at pieces which agents write by themselves. Whoever loses may still write
   * after the other was accepted: the same bytes, unless its memory or disk is failing. So these pieces are read once more
   * right before the commit. Attempts after the first, and pieces accepted twice, are noticed without it.
   */
  contest(pieces: readonly ({ readonly tensor: number } & ElementRange)[]): void {
    for (const { tensor, begin, end } of pieces) {
      const ranges = this.#contested.get(tensor) ?? [];
      ranges.push({ begin, end });
      this.#contested.set(tensor, ranges);
    }
  }

  /** Calls `listener` with every file all of whose pieces are in place, now and as more become so. One listener at a time. */
  whenWhole(listener: (file: number) => void): void {
    this.#onWhole = listener;
    for (const file of this.parts.plan.files.keys()) if (this.parts.pieces.isFileWhole(file)) listener(file);
  }

  /** Records results of a statistics pass. Like pieces, the first result for a place counts. */
  async recordStatistics(pass: number, entries: readonly StatisticsEntry[]): Promise<void> {
    const added = this.parts.statistics.add(pass, entries).map(entryFields);
    const records: JournalRecord[] = [];
    for (let at = 0; at < added.length; at += entriesPerRecord) {
      records.push({ type: "statistics", pass, entries: added.slice(at, at + entriesPerRecord) });
    }
    await this.parts.journal.append(records);
  }

  /** Puts streamed bytes in their place. They count once a receipt that covers them is accepted. */
  async writeChunk(file: number, offset: number, data: Uint8Array): Promise<void> {
    try {
      await this.parts.files.write(file, offset, data);
    } catch (error) {
      throw await this.parts.lock.reasonOf(error);
    }
  }

  /**
   * Makes a file's bytes survive a power cut. When that fails nobody knows which of them are on the disk, whatever reading
   * them says, so all of its pieces are taken back and are computed again by the next run.
   */
  async sync(file: number): Promise<void> {
    try {
      await this.parts.files.sync(file);
    } catch (error) {
      await this.distrust(file).catch(() => undefined);
      throw error;
    }
  }

  /** Takes back all pieces of a file that somebody else wrote and could not sync. They are computed again. */
  async distrust(file: number): Promise<void> {
    await this.#takeBack(this.parts.pieces.inFile(file).map(({ piece }) => piece));
  }

  /**
   * Waits until every file is hashed and every piece was checked against its receipt. The SHA-256s are by place in
   * Plan.files. Pieces that changed since they were accepted are taken back and are a `chunk_corrupt`: they are missing
   * again, and computing them makes the next call succeed. `signal` ends the waiting.
   */
  async finish(outer?: AbortSignal): Promise<readonly string[]> {
    this.#assertWhole();
    const { plan, files, pieces } = this.parts;
    const signal = outer === undefined ? this.#stop.signal : AbortSignal.any([this.#stop.signal, outer]);
    const hashing = Promise.all(plan.files.map((_, file) => this.#digests.of(file)));
    const checks = await unlessAborted(signal, hashing);
    const changed = new Set(checks.flatMap((check) => check.changed));
    const isWanted = (piece: PieceResult): boolean => this.#isContested(piece) && !changed.has(piece);
    for (const piece of await checkPieces(plan, files.paths, pieces, { isWanted, signal })) {
      changed.add(piece);
    }
    const [first] = changed;
    if (first === undefined) return checks.map(({ sha256 }) => sha256);
    await this.#takeBack([...changed]);
    const name = quote(tensorOf(this.parts.plan, first.tensor).name);
    throw new AmalgamError(
      "chunk_corrupt",
      `Cannot finish ${quote(this.parts.outputDirectory)}: ${formatCount(changed.size)} staged pieces changed after ` +
        `they were accepted, the first is elements [${first.begin}, ${first.end}) of ${name}, compute them again`,
    );
  }

  /** Removes all that was staged. An output that was moved aside and not yet replaced goes back to its place. */
  async discard(): Promise<void> {
    const { outputDirectory, layout, lock } = this.parts;
    await this.#close();
    if (await lock.isHeld()) await restoreReplaced(layout.replaced, outputDirectory, layout.root);
    await this.#remove();
  }

  /** Closes everything after the staged files became the output, and removes what is left beside it. */
  async close(): Promise<void> {
    this.#committed = true;
    await this.#close();
    await this.#remove();
  }

  /** Whether there is nothing in it that the next run could go on from. */
  get isEmpty(): boolean {
    return this.parts.pieces.done.size === 0 && this.parts.statistics.isEmpty;
  }

  /**
   * Keeps what was done for the next run. What holds nothing is removed, unless a cluster leads the job: the next leader's
   * generation must be above this one's, whatever its clock says.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#committed || this.#stop.signal.aborted) return;
    if (this.isEmpty && !this.parts.hasAuthority) return this.discard();
    await this.#close();
    await this.parts.lock[Symbol.asyncDispose]();
  }

  async #close(): Promise<void> {
    this.#stop.abort();
    await this.parts.files[Symbol.asyncDispose]();
    await this.parts.journal[Symbol.asyncDispose]();
  }

  /**
   * The lock goes last, so that nobody begins in a directory that is still being removed. Once another process took it
   * over, all that is there is theirs.
   */
  async #remove(): Promise<void> {
    const { layout, lock } = this.parts;
    if (await lock.isHeld()) await removeStaged(lock);
    await lock[Symbol.asyncDispose]();
    await removeEmpty(layout.root);
  }

  /** Takes pieces in, all or none, and returns those that were not in place before. */
  #add(results: readonly PieceResult[]): PieceResult[] {
    const { pieces } = this.parts;
    const added: PieceResult[] = [];
    try {
      for (const result of results) if (pieces.add(result)) added.push(result);
    } catch (error) {
      for (const piece of added) pieces.drop(piece);
      throw error;
    }
    return added;
  }

  #isContested({ tensor, begin, end }: PieceResult): boolean {
    return this.#contested.get(tensor)?.some((range) => range.begin < end && begin < range.end) ?? false;
  }

  async #takeBack(changed: readonly PieceResult[]): Promise<void> {
    const { pieces, journal, plan } = this.parts;
    for (const piece of changed) {
      pieces.drop(piece);
      this.#digests.forget(tensorOf(plan, piece.tensor).file);
    }
    await journal.append(changed.map(({ tensor, begin, end }) => ({ type: "dropped", tensor, begin, end })));
  }

  #assertWhole(): void {
    const { plan, pieces, outputDirectory } = this.parts;
    if (pieces.isWhole) return;
    for (const [tensor, { name, elements }] of plan.tensors.entries()) {
      const [gap] = missingRanges(pieces.of(tensor), { begin: 0, end: elements });
      if (gap === undefined) continue;
      throw new AmalgamError(
        "internal",
        `Cannot finish ${quote(outputDirectory)}: elements [${gap.begin}, ${gap.end}) of ${quote(name)} are missing`,
      );
    }
  }
}

/** Field by field, so that nothing else that a caller's objects hold gets into the journal. */
function pieceRecord(result: PieceResult, { unit, epoch, agent }: Attempt): JournalRecord {
  const { tensor, begin, end, bytes, crc32, nonFinite, overflowed, largest, inputsNonFinite } = result;
  const counts = { nonFinite, overflowed, largest, inputsNonFinite };
  return { type: "piece", tensor, begin, end, bytes, crc32, ...counts, unit, epoch, agent };
}

function entryFields({ program, tensor, slot, values }: StatisticsEntry): StatisticsEntry {
  return tensor === undefined ? { program, slot, values } : { program, tensor, slot, values };
}
