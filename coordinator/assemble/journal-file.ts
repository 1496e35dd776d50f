import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { openOwn, writeError, writeFully } from "./durable.js";

/** Where a journal's bytes go: a file, or in a simulation a disk in memory that forgets what was not synced. */
export interface JournalFile {
  /** Adds bytes at the end. They need not survive a crash yet. */
  append(bytes: Uint8Array): Promise<void>;
  /** Returns when all that was appended survives a power cut. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Opens a journal on a disk for appending after its first `trustedBytes` bytes; what followed them is cut off. */
export async function openJournalFile(path: string, trustedBytes = 0): Promise<JournalFile> {
  try {
    const handle = await openOwn(path, constants.O_RDWR | constants.O_CREAT);
    const { size } = await handle.stat();
    if (size !== trustedBytes) await handle.truncate(trustedBytes);
    return new DiskJournalFile(handle, trustedBytes);
  } catch (error) {
    throw writeError(error, "open journal", path);
  }
}

class DiskJournalFile implements JournalFile {
  readonly #handle: FileHandle;
  #position: number;

  constructor(handle: FileHandle, position: number) {
    this.#handle = handle;
    this.#position = position;
  }

  async append(bytes: Uint8Array): Promise<void> {
    await writeFully(this.#handle, bytes, this.#position);
    this.#position += bytes.length;
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
