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

/** Data of one response, whatever is asked for; the last of a range may be smaller. */
const minChunkBytes = 64 << 10;
const maxChunkBytes = 1 << 20;
const defaultChunkBytes = 256 << 10;

/** What all ranges that are being sent hold together; more wait for their turn. */
const maxHeldBytes = 64 << 20;

/** A range that waits for its turn says so this often, lest its reader take us for dead. */
const defaultNoticeMs = 10_000;
const notice = { data: new Uint8Array(), crc32: 0 };

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
  readonly #noticeMs: number;
  readonly #gate = new ByteGate(maxHeldBytes);

  constructor({ roots }: Confinement, ioLimit: IoLimit | undefined, noticeMs = defaultNoticeMs) {
    this.#roots = roots;
    this.#ioLimit = ioLimit;
    this.#noticeMs = noticeMs;
  }

  /**
   * Sends a range, chunk after chunk. One chunk is read while the one before is on its way, so a slow reader costs two,
   * however long the range is. Fails with `checkpoint_changed` when the file is not the one that was asked for.
   */
  async read(request: ReadRequest, call: RangeCall): Promise<void> {
    const range = checked(request);
    const queued = this.#giveNotice(call);
    await this.#gate.hold(2 * range.chunkBytes, async () => {
      queued[Symbol.dispose]();
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

  async #send(handle: FileHandle, { file, begin, end, chunkBytes }: Range, call: RangeCall): Promise<void> {
    const { signal, send } = call;
    let onItsWay = Promise.resolve();
    for (let at = begin; at < end; at += chunkBytes) {
      const data = new Uint8Array(Math.min(chunkBytes, end - at));
      await this.#waitForLimit(data.length, call);
      signal.throwIfAborted();
      const read = await readFully(handle, data, at);
      if (read < data.length) throw endedEarly(file.path, at + read, toSafeNumber(file.bytes));
      await onItsWay;
      signal.throwIfAborted();
      onItsWay = send({ data, crc32: crc32(data) });
    }
    await onItsWay;
  }

  async #waitForLimit(bytes: number, call: RangeCall): Promise<void> {
    const waitMs = this.#ioLimit?.take(bytes) ?? 0;
    if (waitMs <= 0) return;
    using _ = this.#giveNotice(call);
    await sleep(systemClock, waitMs, call.signal);
  }

  /** Until it is disposed of. Not while the disk is read: one that hangs is no reason to wait. */
  #giveNotice({ send }: RangeCall): Disposable {
    const timer = setInterval(() => void send(notice), this.#noticeMs);
    return { [Symbol.dispose]: () => clearInterval(timer) };
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
    chunkBytes: Math.min(Math.max(chunkBytes || defaultChunkBytes, minChunkBytes), maxChunkBytes),
  };
}

async function assertPlanned(handle: FileHandle, { path, bytes, modifiedMs }: SourceFile): Promise<void> {
  const { size, mtimeMs } = await handle.stat();
  if (BigInt(size) !== bytes || mtimeMs !== modifiedMs) throw changedFile(path, Number(bytes), size);
}
