import type { AmalgamError } from "../../shared/errors.js";
import { writeError } from "./durable.js";
import { formatRecord } from "./format-record.js";
import { type JournalFile, openJournalFile } from "./journal-file.js";
import type { JournalRecord } from "./parse-record.js";

export interface JournalOptions {
  /** What messages call it. */
  readonly name: string;
  /** Called before every write; a failure means that the journal is another process's by now. @default nothing */
  readonly assertOurs?: (() => Promise<void>) | undefined;
}

/**
 * The append-only record of a job. Whatever `append()` was given has reached the disk when its promise resolves; calls
 * that come while the disk is busy share the next write and the next sync.
 */
export class Journal implements AsyncDisposable {
  readonly #file: JournalFile;
  readonly #options: JournalOptions;
  #waiting: string[] = [];
  /** The write under way, and the one that will take what is waiting. */
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #failure: AmalgamError | undefined;

  constructor(file: JournalFile, options: JournalOptions) {
    this.#file = file;
    this.#options = options;
  }

  /** Opens a journal on a disk, see {@link openJournalFile}. */
  static async open(path: string, trustedBytes = 0, options: Partial<JournalOptions> = {}): Promise<Journal> {
    return new Journal(await openJournalFile(path, trustedBytes), { name: path, ...options });
  }

  /**
   * After a failed write or sync nothing is known about what the disk holds, so every later call fails with the first
   * failure; the next process reads the journal and trusts what it finds sound.
   */
  append(records: readonly JournalRecord[]): Promise<void> {
    for (const record of records) this.#waiting.push(formatRecord(record));
    // Also with nothing to add: the caller then waits for what others added before.
    this.#next ??= this.#writing.then(() => {
      this.#next = undefined;
      this.#writing = this.#write();
      return this.#writing;
    });
    return this.#next;
  }

  async #write(): Promise<void> {
    const lines = Buffer.from(this.#waiting.join(""));
    this.#waiting = [];
    if (this.#failure !== undefined) throw this.#failure;
    if (lines.length === 0) return;
    try {
      await this.#options.assertOurs?.();
      await this.#file.append(lines);
      await this.#file.sync();
    } catch (error) {
      this.#failure = writeError(error, "write journal", this.#options.name);
      throw this.#failure;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.append([]).catch(() => undefined);
    await this.#file.close();
  }
}
