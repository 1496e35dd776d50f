import { type Clock, sleep, systemClock } from "../../../shared/clock.js";
import { AmalgamError } from "../../../shared/errors.js";
import type { Log } from "../../../shared/log/log.js";
import { quote } from "../../../shared/quote.js";
import type { Board } from "../board.js";
import { type FoundSweep, findSweeps } from "./find-sweeps.js";
import { ReadingThread } from "./reading-thread.js";

const lookMs = 3_000;
const maxProblemLength = 600;

/** Sweeps on the page: found, read again whenever they change, and reported on. Reads only. */
export class SweepShelf implements AsyncDisposable {
  readonly #folders: readonly string[];
  readonly #board: Board;
  readonly #log: Pick<Log, "warning">;
  readonly #clock: Clock;
  readonly #thread = new ReadingThread();
  readonly #over = new AbortController();
  readonly #looking: Promise<void>;
  #found = new Map<string, FoundSweep>();
  /** The last one that was asked for; the next may be the same. */
  #report: { readonly stamp: string; readonly folder: string; readonly html: Promise<Buffer> } | undefined;

  constructor(folders: readonly string[], board: Board, log: Pick<Log, "warning">, clock: Clock = systemClock) {
    this.#folders = folders;
    this.#board = board;
    this.#log = log;
    this.#clock = clock;
    this.#looking = this.#keepLooking();
  }

  /** A page, as it is on record now; undefined: there is no such sweep. */
  async report(name: string): Promise<Buffer | undefined> {
    const found = (await findSweeps(this.#folders)).find((sweep) => sweep.name === name);
    if (found === undefined) return undefined;
    const { folder, stamp } = found;
    if (this.#report?.folder !== folder || this.#report.stamp !== stamp) {
      // Bytes, which are sent as they are to however many ask.
      const html = this.#thread.report(folder).then((text) => Buffer.from(text));
      this.#report = { folder, stamp, html };
      html.catch(() => {
        if (this.#report?.html === html) this.#report = undefined;
      });
    }
    return await this.#report.html;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#thread[Symbol.asyncDispose]();
    await this.#looking;
  }

  async #keepLooking(): Promise<void> {
    while (!this.#over.signal.aborted) {
      await this.#look();
      await sleep(this.#clock, lookMs, this.#over.signal);
    }
  }

  /** Never fails. */
  async #look(): Promise<void> {
    const sweeps = await findSweeps(this.#folders);
    const before = this.#found;
    this.#found = new Map(sweeps.map((sweep) => [sweep.name, sweep]));
    for (const name of before.keys()) if (!this.#found.has(name)) this.#board.delete("sweeps", name);
    for (const sweep of sweeps) {
      if (this.#over.signal.aborted) return;
      if (before.get(sweep.name)?.stamp !== sweep.stamp) await this.#show(sweep);
    }
  }

  async #show({ name, folder, changedMs }: FoundSweep): Promise<void> {
    const changedAt = new Date(changedMs).toISOString();
    try {
      const summary = await this.#thread.summary(folder);
      if (summary !== undefined) this.#board.set("sweeps", name, { name, changedAt, ...summary });
    } catch (reason) {
      if (this.#over.signal.aborted) return;
      const problem = AmalgamError.from(reason).message.slice(0, maxProblemLength);
      this.#log.warning(`Cannot show sweep ${quote(name)}: ${problem}`);
      const nothing = { file: "", state: "unfinished", trials: 0, failed: 0, objectives: [], bestSoFar: [] } as const;
      this.#board.set("sweeps", name, { name, changedAt, ...nothing, problem });
    }
  }
}
