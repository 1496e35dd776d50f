import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, mkdir, rename, rm, rmdir, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { type Clock, sleep, systemClock } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { hasErrno, openOwn, syncDirectory, writeError, writeFully } from "./durable.js";
import { type Authority, formatHolder } from "./lock-file.js";
import { thisProcess } from "./process-identity.js";
import { Pulse } from "./pulse.js";
import type { Holder } from "./read-holder.js";
import {
  entriesOf,
  latestGeneration,
  nameOf,
  readStaging,
  type StagingEntries,
  type StagingPaths,
  stagingPaths,
} from "./staging-paths.js";

export type { Authority } from "./lock-file.js";

/** How often the holder shows that it lives. */
const beatMs = 1_000;
/** Tries to take the lock, when others keep taking or leaving it at the same moment. */
const maxTries = 20;

export interface LockOptions {
  /** The lease on a job that a cluster's coordinator holds. Without it, a process that is there is never displaced. */
  readonly authority?: Authority | undefined;
  /** How long a holder that cannot be told dead may be silent. @default 30 seconds, with an authority 5 */
  readonly patienceMs?: number | undefined;
  /** Called when the storage has not taken the holder's beats for 30 seconds. @default nothing */
  readonly onSilent?: (() => void) | undefined;
  /** @default the system's */
  readonly clock?: Clock | undefined;
}

/**
 * The right to work in one staging directory, and its generation. The lock is the file `lock.<generation>` with the
 * highest generation; taking it over is creating the next one, which only one process can. A generation is never given
 * twice, also not to the staging of a later job at the same place: the first one of a new directory is the time.
 */
export class Lock implements AsyncDisposable {
  readonly paths: StagingPaths;
  readonly #handle: FileHandle;
  readonly #holder: Holder;
  readonly #timer: NodeJS.Timeout;
  /** Where the file is until the directory has its name. */
  #path: string;
  #beat = 0;

  private constructor(paths: StagingPaths, path: string, handle: FileHandle, { authority, onSilent }: LockOptions) {
    this.paths = paths;
    this.#path = path;
    this.#handle = handle;
    this.#holder = { token: randomUUID(), ...thisProcess(), host: hostname(), authority, beat: 0 };
    // A beat that cannot be written is no reason to stop: whoever takes the lock over is noticed by assertHeld().
    const pulse = new Pulse(() => this.#show(), onSilent);
    this.#timer = setInterval(() => pulse.beat(), beatMs);
    this.#timer.unref();
  }

  get generation(): number {
    return this.paths.generation;
  }

  /**
   * Creates the staging directory if need be and takes its lock. Throws `output_refused` and says who has it, or `fenced`
   * when it is somebody who leads the same job and is alive.
   */
  static async take(root: string, options: LockOptions = {}): Promise<Lock> {
    const { authority, patienceMs, clock = systemClock } = options;
    try {
      for (let tries = 0; tries < maxTries; tries += 1) {
        if (tries > 0) await sleep(clock, Math.random() * 10);
        const seen = await readStaging(root);
        if (seen === undefined || isEmpty(seen)) {
          const lock = await Lock.#begin(root, options);
          if (lock !== undefined) return lock;
          continue;
        }
        if (seen.foreign.length > 0) throw notOurs(root, seen.foreign);
        const [held] = entriesOf(seen, "lock");
        if (held !== undefined) {
          // Most jobs find nobody, and do without what reads a lock.
          const { challenge } = await import("./lock-rivals.js");
          if ((await challenge(held.path, { authority, patienceMs, clock })) === "gone") continue;
        }
        const lock = await Lock.#next(root, latestGeneration(seen) + 1, options);
        if (lock !== undefined) return lock;
      }
    } catch (error) {
      if (hasErrno(error, "EACCES", "EPERM", "EROFS")) {
        const problem = hasErrno(error, "EROFS") ? "its file system is read-only" : "writing there is not permitted";
        throw refusedRoot(root, `${problem}, choose another output`, error);
      }
      throw writeError(error, "lock", join(root, "lock"));
    }
    throw new AmalgamError("output_refused", `Cannot lock ${quote(root)}: others keep taking it`);
  }

  /**
   * Creates the directory with the lock in it, by one rename, so that nobody sees it without one. Undefined when
   * somebody else was faster.
   */
  static async #begin(root: string, options: LockOptions): Promise<Lock | undefined> {
    const begun = `${root}.${randomUUID()}`;
    await mkdir(begun);
    const lock = await Lock.#create(begun, root, Date.now(), options);
    try {
      if (lock === undefined) return undefined;
      await rename(begun, root);
      lock.#path = lock.paths.lock;
      await syncDirectory(dirname(root));
      return lock;
    } catch (error) {
      await lock?.[Symbol.asyncDispose]();
      await rm(begun, { recursive: true, force: true });
      const found = await lstat(root).catch(() => undefined);
      if (found !== undefined && !found.isDirectory()) throw notDirectory(root);
      if (!hasErrno(error, "EEXIST", "ENOTEMPTY")) throw error;
      // Not every file system renames onto an empty directory.
      await rmdir(root).catch(() => undefined);
      return undefined;
    }
  }

  /** Undefined when somebody else took this generation, or a later one. */
  static async #next(root: string, generation: number, options: LockOptions): Promise<Lock | undefined> {
    const lock = await Lock.#create(root, root, generation, options);
    if (lock === undefined) return undefined;
    // What we looked at may be long ago. Where somebody came after that, this generation may have been theirs.
    const others = (await readStaging(root))?.ours.filter(({ kind }) => kind !== "lock") ?? [];
    if (others.every((entry) => entry.generation < generation) && (await lock.isHeld())) return lock;
    await lock[Symbol.asyncDispose]();
    return undefined;
  }

  static async #create(
    directory: string,
    root: string,
    generation: number,
    options: LockOptions,
  ): Promise<Lock | undefined> {
    const path = join(directory, nameOf("lock", generation));
    let handle: FileHandle;
    try {
      handle = await openOwn(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL);
    } catch (error) {
      if (hasErrno(error, "EEXIST", "ENOENT")) return undefined;
      throw error;
    }
    const lock = new Lock(stagingPaths(root, generation), path, handle, options);
    try {
      await lock.#show();
      return lock;
    } catch (error) {
      await lock[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** False when somebody took the lock over, as happens to a process that was frozen for long. */
  async isHeld(): Promise<boolean> {
    const [latest] = entriesOf(await readStaging(this.paths.root), "lock");
    return latest?.generation === this.generation;
  }

  async assertHeld(): Promise<void> {
    if (!(await this.isHeld())) throw this.#fenced();
  }

  /**
   * Why something failed: `fenced` once another process took over, since it moved away what this one was working on;
   * else the failure itself.
   */
  async reasonOf(failure: unknown): Promise<unknown> {
    const known = AmalgamError.from(failure).code;
    if (known === "fenced" || known === "canceled") return failure;
    return (await this.isHeld().catch(() => true)) ? failure : this.#fenced(failure);
  }

  /** Gives the lock up. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#handle.close();
    await unlink(this.#path).catch((error: unknown) => {
      if (!hasErrno(error, "ENOENT", "ENOTDIR")) throw error;
    });
  }

  #fenced(cause?: unknown): AmalgamError {
    return new AmalgamError(
      "fenced",
      `Cannot go on: another process took over ${quote(this.paths.root)} while this one made no progress, ` +
        "its work goes on there",
      { cause, details: { staging: this.paths.root, generation: String(this.generation) } },
    );
  }

  async #show(): Promise<void> {
    this.#beat += 1;
    await writeFully(this.#handle, Buffer.from(formatHolder({ ...this.#holder, beat: this.#beat })), 0);
  }
}

function isEmpty({ ours, foreign }: StagingEntries): boolean {
  return ours.length === 0 && foreign.length === 0;
}

function notOurs(root: string, [name = ""]: readonly string[]): AmalgamError {
  return refusedRoot(root, `Amalgam did not write ${quote(name)} in it, remove it`);
}

function notDirectory(root: string): AmalgamError {
  return refusedRoot(root, "it is not a directory, remove it");
}

/** Why a staging directory cannot be used, and what to do. */
export function refusedRoot(root: string, problem: string, cause?: unknown): AmalgamError {
  return new AmalgamError("output_refused", `Cannot use staging directory ${quote(root)}: ${problem}`, {
    cause,
    details: { staging: root },
  });
}
