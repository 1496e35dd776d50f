import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, readFile, rename, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { hasErrno, openOwn, writeError, writeFully } from "./durable.js";
import { isRunning, thisProcess } from "./process-identity.js";

/** How often the holder shows that it lives. */
const beatMs = 5_000;
/** How long a holder on another machine may be silent before it counts as gone: six beats. */
const defaultPatienceMs = 30_000;
/** How long after taking over a stale lock others that found it stale too may still replace it. */
const settleMs = 50;
/** Tries to take the lock, when others keep taking or leaving it at the same moment. */
const maxTries = 5;

const holderSchema = z.object({
  /** Made up anew for every lock, so that no two are taken for one another. */
  token: z.string(),
  pid: z.int().positive(),
  started: z.string().optional(),
  machine: z.string(),
  host: z.string(),
  beat: z.int(),
});
type Holder = z.infer<typeof holderSchema>;

/**
 * The right to work on one output, held by at most one process. It is a file that only one can create; a holder that
 * has died does not keep it. Whether it lives is told exactly on the same machine, by pid and start time; from another
 * machine or container by a counter in the file that the holder raises, watched for half a minute by the watcher's own
 * clock.
 */
export class Lock implements AsyncDisposable {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #holder: Holder;
  readonly #timer: NodeJS.Timeout;
  #beat = 0;

  private constructor(path: string, handle: FileHandle, holder: Holder) {
    this.#path = path;
    this.#handle = handle;
    this.#holder = holder;
    // A beat that cannot be written is no reason to stop: whoever takes the lock over is noticed by assertHeld().
    this.#timer = setInterval(() => void this.#show().catch(() => undefined), beatMs);
    this.#timer.unref();
  }

  /** Takes the lock, or throws `output_refused` and says who has it. */
  static async take(path: string, options: { readonly patienceMs?: number | undefined } = {}): Promise<Lock> {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const lock = await Lock.#create(path, path);
      if (lock !== undefined) return lock;
      const seen = await readHolder(path);
      if (seen === "gone") continue;
      if (await isTaken(path, seen, options.patienceMs ?? defaultPatienceMs)) throw refused(path, seen);
      const taken = await Lock.#takeOver(path, seen);
      if (taken !== undefined) return taken;
    }
    throw new AmalgamError("output_refused", `Cannot lock ${quote(path)}: others keep taking it`);
  }

  /** Writes a lock into a file that is not there yet; undefined when it is. */
  static async #create(file: string, path: string): Promise<Lock | undefined> {
    let handle: FileHandle;
    try {
      handle = await openOwn(file, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL);
    } catch (error) {
      if (hasErrno(error, "EEXIST")) return undefined;
      throw writeError(error, "create lock", file);
    }
    const lock = new Lock(path, handle, { token: randomUUID(), ...thisProcess(), host: hostname(), beat: 0 });
    await lock.#show();
    return lock;
  }

  /**
   * Puts a lock in the place of a stale one by a rename, so that there is always one and nobody can slip in between.
   * Several that find it stale at once replace one another's within moments; the last one has it, and the others find out
   * by looking again.
   */
  static async #takeOver(path: string, stale: Holder | undefined): Promise<Lock | undefined> {
    const file = `${path}.${randomUUID()}`;
    const lock = await Lock.#create(file, path);
    if (lock === undefined) return undefined;
    const now = await readHolder(path);
    if (now === "gone" || now?.token !== stale?.token) await unlink(file);
    else {
      await rename(file, path);
      await sleep(settleMs);
      if (await lock.isHeld()) return lock;
    }
    await lock[Symbol.asyncDispose]();
    return undefined;
  }

  /** False when somebody took the lock over, as happens to a process that was stopped for long on another machine. */
  async isHeld(): Promise<boolean> {
    const holder = await readHolder(this.#path);
    return holder !== "gone" && holder?.token === this.#holder.token;
  }

  async assertHeld(): Promise<void> {
    if (await this.isHeld()) return;
    throw new AmalgamError(
      "output_refused",
      `Cannot go on: lock ${quote(this.#path)} was taken over by another process while this one made no progress`,
    );
  }

  /** Gives the lock up, unless somebody else has it by now. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#handle.close();
    if (await this.isHeld()) await unlink(this.#path);
  }

  async #show(): Promise<void> {
    this.#beat += 1;
    // Padded, so that every beat overwrites the one before it whole.
    const text = JSON.stringify({ ...this.#holder, beat: this.#beat }).padEnd(512);
    await writeFully(this.#handle, Buffer.from(`${text}\n`), 0);
  }
}

/** Undefined for a file whose content is not a lock's: its maker died between creating and writing it, or writes now. */
async function readHolder(path: string): Promise<Holder | undefined | "gone"> {
  try {
    const parsed = holderSchema.safeParse(JSON.parse(await readFile(path, "utf8")));
    return parsed.success ? parsed.data : undefined;
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return "gone";
    if (error instanceof SyntaxError) return undefined;
    throw writeError(error, "read lock", path);
  }
}

async function isTaken(path: string, seen: Holder | undefined, patienceMs: number): Promise<boolean> {
  const running = seen && isRunning({ ...seen, started: seen.started });
  if (running !== undefined) return running;
  // Written right after it is created, so a file without a holder is given only a moment.
  const deadline = performance.now() + (seen === undefined ? Math.min(patienceMs, 1_000) : patienceMs);
  while (performance.now() < deadline) {
    await sleep(Math.min(200, patienceMs / 10));
    const now = await readHolder(path);
    if (now === "gone") return false;
    if (now?.token !== seen?.token || now?.beat !== seen?.beat) return true;
  }
  return false;
}

function refused(path: string, holder: Holder | undefined): AmalgamError {
  const who = holder === undefined ? "another process" : `process ${holder.pid} on ${quote(holder.host)}`;
  return new AmalgamError(
    "output_refused",
    `Cannot lock ${quote(path)}: ${who} is merging into the same output, wait for it or stop it`,
    { details: { lock: path, ...(holder && { pid: String(holder.pid), host: holder.host }) } },
  );
}
