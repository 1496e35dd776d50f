import type { FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { toSafeNumber } from "../../shared/bytes.js";
import { ByteGate } from "../../shared/checkpoint/byte-gate.js";
import { openRegularFile, readFully } from "../../shared/checkpoint/regular-file.js";
import { sleep, systemClock } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import type { ReadRequest, SourceFile } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { formatCount, quote } from "../../shared/quote.js";
import { changedFile, endedEarly } from "../changed-file.js";
import type { IoLimit } from "../io-limit.js";
import type { Confinement } from "../roots.js";
import { resolveBelow } from "./resolve.js";

/** Largest data of one response, whatever is asked for. */
const maxChunkBytes = 1 << 20;
const defaultChunkBytes = 256 << 10;

/** What all ranges that are being sent hold together; more wait for their turn. */
const maxHeldBytes = 64 << 20;

export interface RangeCall {
  /** Aborted when nobody wants the range any more. */
  readonly signal: AbortSignal;
  /** Resolves when the response has left this process, or nobody waits for it any more. */
  readonly send: (response: { data: Uint8Array; crc32: number }) => Promise<void>;
}

/** Sends ranges of files below the roots to others. */
export class RangeReader {
  readonly #roots: readonly string[];
  readonly #ioLimit: IoLimit | undefined;
  readonly #gate = new ByteGate(maxHeldBytes);

  constructor({ roots }: Confinement, ioLimit: IoLimit | undefined) {
    this.#roots = roots;
    this.#ioLimit = ioLimit;
  }

  /**
   * Sends a range, chunk after chunk. One chunk is read while the one before is on its way, so a slow reader costs two,
   * however long the range is. Fails with `checkpoint_changed` when the file is not the one that was asked for.
   */
  async read(request: ReadRequest, call: RangeCall): Promise<void> {
    const range = checked(request);
    await this.#gate.hold(2 * range.chunkBytes, async () => {
      call.signal.throwIfAborted();
      const { file } = range;
      const path = await resolveBelow(file.path, this.#roots, "read");
      const { handle } = await openRegularFile(path, { name: file.path });
      try {
        await assertPlanned(handle, file);
        await this.#send(handle, range, call);
      } finally {
        await handle.close();
      }
    });
  }

  async #send(handle: FileHandle, { file, begin, end, chunkBytes }: Range, { signal, send }: RangeCall): Promise<void> {
    let onItsWay = Promise.resolve();
    for (let at = begin; at < end; at += chunkBytes) {
      const data = new Uint8Array(Math.min(chunkBytes, end - at));
      const waitMs = this.#ioLimit?.take(data.length) ?? 0;
      if (waitMs > 0) await sleep(systemClock, waitMs, signal);
      signal.throwIfAborted();
      const read = await readFully(handle, data, at);
      if (read < data.length) throw endedEarly(file.path, at + read, toSafeNumber(file.bytes));
      await onItsWay;
      signal.throwIfAborted();
      onItsWay = send({ data, crc32: crc32(data) });
    }
    await onItsWay;
  }
}

/** A request that makes sense. */
interface Range {
  readonly file: SourceFile;
  readonly begin: number;
  readonly end: number;
  readonly chunkBytes: number;
}

function checked({ file, offset, length, chunkBytes }: ReadRequest): Range {
  if (file === undefined) throw new AmalgamError("usage", "Cannot read a range: no file is named");
  if (file.bytes > BigInt(Number.MAX_SAFE_INTEGER) || offset + length > file.bytes) {
    throw new AmalgamError(
      "usage",
      `Cannot read ${quote(file.path)}: bytes ${offset} to ${offset + length} of ${formatCount(Number(file.bytes))} are not there`,
    );
  }
  return {
    file,
    begin: Number(offset),
    end: Number(offset + length),
    chunkBytes: Math.min(chunkBytes === 0 ? defaultChunkBytes : chunkBytes, maxChunkBytes),
  };
}

async function assertPlanned(handle: FileHandle, { path, bytes, modifiedMs }: SourceFile): Promise<void> {
  const { size, mtimeMs } = await handle.stat();
  if (BigInt(size) !== bytes || mtimeMs !== modifiedMs) throw changedFile(path, Number(bytes), size);
}
