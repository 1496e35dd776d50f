import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { basename, join } from "node:path";
import { readFully } from "../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { OutputFile, Plan } from "../plan/types.js";
import { hasErrno, openOwn, writeError, writeFully } from "./durable.js";

/**
 * The output files while they are being filled: there from the start, header written and size set, so that bytes can
 * arrive in any order from anyone.
 */
export class StagedFiles implements AsyncDisposable {
  /** By place in Plan.files. */
  readonly paths: readonly string[];
  readonly #plan: Plan;
  /** Opened when the first chunk comes; agents that write by themselves need none of them. */
  readonly #handles = new Map<number, Promise<FileHandle>>();
  /** Syncs that were started ahead of the commit, by file. */
  readonly #early = new Map<number, Promise<void>>();
  readonly #earlyFailures = new Map<number, unknown>();
  readonly #open: typeof openOwn;

  /** `open`: for tests, which break a disk. */
  constructor(plan: Plan, directory: string, open: typeof openOwn = openOwn) {
    this.#plan = plan;
    this.#open = open;
    this.paths = plan.files.map(({ name }) => {
      if (basename(name) !== name) throw new RangeError(`Cannot stage ${quote(name)}: it is not a plain file name`);
      return join(directory, name);
    });
  }

  /** Creates what is missing and mends headers and sizes that a power cut left behind; data is not touched. */
  async prepare(): Promise<void> {
    for (const [file, path] of this.paths.entries()) {
      try {
        await prepareFile(path, fileOf(this.#plan, file));
      } catch (error) {
        throw writeError(error, "create", path);
      }
    }
  }

  /** Bytes that still have to find room on the disk; staged files are sparse. */
  async missingBytes(): Promise<number> {
    let missing = 0;
    for (const [file, path] of this.paths.entries()) {
      missing += Math.max(0, fileOf(this.#plan, file).bytes - (await allocatedBytes(path)));
    }
    return missing;
  }

  /** Puts bytes in their place. Headers are ours, and nothing may grow a file. */
  async write(file: number, offset: number, data: Uint8Array): Promise<void> {
    const { name, header, bytes } = fileOf(this.#plan, file);
    if (!(offset >= header.length && offset + data.length <= bytes)) {
      throw new RangeError(
        `Cannot write bytes [${offset}, ${offset + data.length}) of ${quote(name)}: ` +
          `its data is [${header.length}, ${bytes})`,
      );
    }
    const path = this.#pathOf(file);
    try {
      let handle = this.#handles.get(file);
      if (handle === undefined) {
        handle = this.#open(path, constants.O_WRONLY);
        this.#handles.set(file, handle);
        // The next chunk opens it anew: the failure may pass.
        handle.catch(() => this.#handles.delete(file));
      }
      await writeFully(await handle, data, offset);
    } catch (error) {
      throw writeError(error, "write", path);
    }
  }

  /** Checks that a finished file has its size and still starts with the header it was given. */
  async assertSound(file: number): Promise<void> {
    const { name, header, bytes } = fileOf(this.#plan, file);
    await using handle = await openOwn(this.#pathOf(file), constants.O_RDONLY);
    const { size } = await handle.stat();
    const start = Buffer.alloc(header.length);
    const read = await readFully(handle, start, 0);
    if (size === bytes && start.subarray(0, read).equals(header)) return;
    const problem = size === bytes ? "its header changed" : `it has ${size} bytes and should have ${bytes}`;
    throw new AmalgamError("chunk_corrupt", `Cannot finish ${quote(name)}: ${problem} since it was staged`);
  }

  /**
   * Starts bringing a file's bytes to the disk while others are still being made, so that little is left for the commit.
   * One at a time per file; a failure is the commit's to tell, since a disk reports it once.
   */
  syncAhead(file: number): void {
    if (this.#early.has(file)) return;
    const done = this.#syncFile(file)
      .catch((error: unknown) => {
        if (!this.#earlyFailures.has(file)) this.#earlyFailures.set(file, error);
      })
      .finally(() => this.#early.delete(file));
    this.#early.set(file, done);
  }

  /**
   * Makes a file's bytes survive a power cut. Through the handle that wrote them, if it was us: a network file system may
   * tell of a failed write to that one only.
   */
  async sync(file: number): Promise<void> {
    const path = this.#pathOf(file);
    try {
      await this.#early.get(file);
      if (this.#earlyFailures.has(file)) throw this.#earlyFailures.get(file);
      const handle = await this.#handles.get(file);
      await (handle === undefined ? this.#syncFile(file) : handle.sync());
    } catch (error) {
      throw writeError(error, "sync", path);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#early.values());
    const handles = [...this.#handles.values()];
    this.#handles.clear();
    for (const handle of handles) await (await handle.catch(() => undefined))?.close();
  }

  async #syncFile(file: number): Promise<void> {
    await using handle = await this.#open(this.#pathOf(file), constants.O_RDWR);
    await handle.sync();
  }

  #pathOf(file: number): string {
    return this.paths[file] ?? "";
  }
}

async function prepareFile(path: string, { header, bytes }: OutputFile): Promise<void> {
  await using handle = await openOwn(path, constants.O_RDWR | constants.O_CREAT);
  const { size } = await handle.stat();
  const start = Buffer.alloc(header.length);
  const read = await readFully(handle, start, 0);
  if (!start.subarray(0, read).equals(header)) await writeFully(handle, header, 0);
  if (size !== bytes) await handle.truncate(bytes);
}

async function allocatedBytes(path: string): Promise<number> {
  try {
    await using handle = await openOwn(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { blocks } = await handle.stat();
    return blocks * 512;
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return 0;
    throw writeError(error, "look at", path);
  }
}

function fileOf(plan: Plan, file: number): OutputFile {
  const found = plan.files[file];
  if (found === undefined) throw new RangeError(`No file ${file} in a plan of ${plan.files.length}`);
  return found;
}
