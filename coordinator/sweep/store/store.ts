import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { AmalgamError } from "../../../shared/errors.js";
import { quote, quoteList } from "../../../shared/quote.js";
import { writeError } from "../../assemble/durable.js";
import { OutputLock } from "../../evaluate/output-lock.js";
import type { ExampleRecord } from "../../evaluate/types.js";
import type { TaskAnswers } from "../losses/answer-loss.js";
import type { Segment, TrialRecord } from "../types.js";
import { EvidenceLog } from "./evidence-log.js";
import { LineLog } from "./line-log.js";
import { readState, replaceFile, type SweepState, stateName, writeState } from "./state.js";
import { formatTrial, parseTrial } from "./trial-line.js";

/** Files of a sweep's folder. */
export const sweepFiles = {
  state: stateName,
  text: "sweep.yaml",
  trials: "trials.jsonl",
  examples: "examples.jsonl",
  answers: "answers.jsonl",
  result: "result.json",
  best: "best.yaml",
  report: "report.html",
  table: "trials.parquet",
  layers: "layers.json",
} as const;

/**
 * What is on record of a sweep, in its folder. Whatever a method has resolved for survives a power cut. One process has it at
 * a time; {@link readTrials} is for those that look on.
 */
export class SweepStore implements AsyncDisposable {
  readonly folder: string;
  readonly #lock: OutputLock;
  readonly #trials: LineLog;
  readonly #evidence: EvidenceLog;
  /** What the search was told, and what holds: they differ for trials that were run again. */
  readonly #told: Map<number, TrialRecord>;
  readonly #latest: Map<number, TrialRecord>;
  #state: SweepState;
  #updating: Promise<void> = Promise.resolve();

  private constructor(
    folder: string,
    {
      lock,
      trials,
      evidence,
      state,
      known,
    }: {
      readonly lock: OutputLock;
      readonly trials: LineLog;
      readonly evidence: EvidenceLog;
      readonly state: SweepState;
      readonly known: TrialsOnRecord;
    },
  ) {
    this.folder = folder;
    this.#lock = lock;
    this.#trials = trials;
    this.#evidence = evidence;
    this.#state = state;
    this.#told = known.told;
    this.#latest = known.latest;
  }

  /**
   * Opens a folder, which is made where it is missing. Fails with `output_refused` where another process has it, or where it
   * holds another sweep than `state` says. `overwrite`: that one is discarded.
   */
  static async open(folder: string, state: SweepState, text: string, overwrite = false): Promise<SweepStore> {
    await mkdir(folder, { recursive: true }).catch((error: unknown) => {
      throw new AmalgamError("output_refused", writeError(error, "make the folder", folder).message, { cause: error });
    });
    const lock = await OutputLock.take(folder, "sweep into");
    const closers: AsyncDisposable[] = [lock];
    try {
      if (overwrite) await discard(folder);
      const before = await readState(folder);
      if (before !== undefined) assertSame(folder, before, state);
      else if (!overwrite) await assertNothingLost(folder, text);
      const known = new TrialsOnRecord();
      const path = join(folder, sweepFiles.trials);
      const trials = await LineLog.open(path, (json) => known.add(parseTrial(json)));
      closers.push(trials);
      const evidence = await EvidenceLog.open(folder);
      closers.push(evidence);
      if (before === undefined) {
        await replaceFile(join(folder, sweepFiles.text), text);
        await writeState(folder, state);
      }
      return new SweepStore(folder, { lock, trials, evidence, known, state: before ?? state });
    } catch (reason) {
      for (const closer of closers.toReversed()) await closer[Symbol.asyncDispose]();
      throw reason;
    }
  }

  get state(): SweepState {
    return this.#state;
  }

  update(change: Partial<SweepState>): Promise<void> {
    this.#state = { ...this.#state, ...change };
    // One after the other, or they would write into each other's file.
    const written = this.#updating.then(() => writeState(this.folder, this.#state));
    this.#updating = written.catch(() => undefined);
    return written;
  }

  /** What the search was told of a trial. */
  told(trial: number): TrialRecord | undefined {
    return this.#told.get(trial);
  }

  /** What holds of each trial, by number. */
  get latest(): readonly TrialRecord[] {
    return byNumber(this.#latest);
  }

  get trials(): number {
    return this.#told.size;
  }

  async addTrial(record: TrialRecord): Promise<void> {
    await this.#trials.append(formatTrial(record));
    if (!this.#told.has(record.trial)) this.#told.set(record.trial, record);
    this.#latest.set(record.trial, record);
  }

  /** All trials are forgotten: none of them said anything. */
  async forgetTrials(): Promise<void> {
    await this.#trials.clear();
    this.#told.clear();
    this.#latest.clear();
  }

  /** For which trial a segment was run; undefined where it was not. */
  runFor(segment: Segment): number | undefined {
    return this.#evidence.runFor(segment);
  }

  addEvidence(
    segment: Segment,
    trial: number,
    records: readonly ExampleRecord[],
    answers?: TaskAnswers,
  ): Promise<void> {
    return this.#evidence.add(segment, trial, records, answers);
  }

  /** Only of segments that were run. */
  records(segment: Segment): Promise<readonly ExampleRecord[]> {
    return this.#evidence.records(segment);
  }

  /** Undefined where none were kept. */
  answers(segment: Segment): Promise<TaskAnswers | undefined> {
    return this.#evidence.answers(segment);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#updating;
    await this.#trials[Symbol.asyncDispose]();
    await this.#evidence[Symbol.asyncDispose]();
    await this.#lock[Symbol.asyncDispose]();
  }
}

/** What holds of each trial of a sweep, by number, also while it runs. */
export async function readTrials(folder: string): Promise<readonly TrialRecord[]> {
  const known = new TrialsOnRecord();
  await LineLog.read(join(folder, sweepFiles.trials), (json) => known.add(parseTrial(json)));
  return byNumber(known.latest);
}

class TrialsOnRecord {
  readonly told = new Map<number, TrialRecord>();
  readonly latest = new Map<number, TrialRecord>();

  add(record: TrialRecord | undefined): void {
    if (record === undefined) return;
    if (!this.told.has(record.trial)) this.told.set(record.trial, record);
    this.latest.set(record.trial, record);
  }
}

function byNumber(trials: ReadonlyMap<number, TrialRecord>): readonly TrialRecord[] {
  return [...trials.values()].toSorted((a, b) => a.trial - b.trial);
}

/** All but the sweep file, which takes the place of the one that is there. */
async function discard(folder: string): Promise<void> {
  // Without it the others belong to nothing.
  await rm(join(folder, sweepFiles.state), { force: true });
  const { state: _, text: __, ...others } = sweepFiles;
  await Promise.all(Object.values(others).map((name) => rm(join(folder, name), { force: true })));
}

/** What a sweep would replace, or take for its own, where it has not begun. */
async function assertNothingLost(folder: string, text: string): Promise<void> {
  const { text: textName, ...others } = sweepFiles;
  const there = new Set(await readdir(folder));
  const found = Object.values(others).find((name) => there.has(name));
  // It is there where a sweep was cut off before it had begun, and where its folder is the sweep file's own.
  const isOther = there.has(textName) && (await readFile(join(folder, textName), "utf8")) !== text;
  const name = found ?? (isOther ? textName : undefined);
  if (name === undefined) return;
  const problem = `it has ${quote(name)} and no ${quote(sweepFiles.state)}, so that is of no sweep that can go on`;
  const remedy = 'choose another folder with "--out", or replace it with "--overwrite"';
  throw new AmalgamError("output_refused", `Cannot sweep into ${quote(folder)}: ${problem}; ${remedy}`);
}

function assertSame(folder: string, before: SweepState, now: SweepState): void {
  const differing = Object.keys(now.parts).filter((name) => now.parts[name] !== before.parts[name]);
  if (differing.length === 0) return;
  const problem = `${quote(now.file)} differs from what it was begun with in ${quoteList(differing)}`;
  const remedy = 'undo that, choose another folder with "--out", or begin anew with "--overwrite"';
  throw new AmalgamError("output_refused", `Cannot go on with the sweep in ${quote(folder)}: ${problem}; ${remedy}`);
}
