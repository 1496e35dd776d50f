import { AmalgamError, type ErrorCode } from "../../shared/errors.js";

/** Memory of one worker, shared with the main thread, that other agents' bytes arrive in. */
export interface ArenaState {
  /** Windows, and behind them as many errors as there could be windows. */
  readonly data: SharedArrayBuffer;
  /** What windows share. A power of two. */
  readonly windowsBytes: number;
  /** An Int32 per window. From 0 up: bytes that are there. Below: it failed, and −1 − the error's length. */
  readonly filled: SharedArrayBuffer;
}

/** A part of an arena that the main thread is asked to fill with bytes of a source. */
export interface FetchMessage {
  readonly type: "fetch";
  /** Into the request's sources. */
  readonly source: number;
  readonly offset: number;
  readonly length: number;
  /** Into {@link ArenaState.filled}. */
  readonly cell: number;
  /** Of the window's first byte in {@link ArenaState.data}. */
  readonly address: number;
  /** Where the error goes if there is one: the bytes before it may be being read. */
  readonly errorAddress: number;
}

/** Smallest window. It is no larger than what is read at once, so nothing is fetched twice when there are few. */
export const minWindowBytes = 64 << 10;
export const maxWindowBytes = 1 << 20;
/** Room for the error of a fetch that failed, one per window. */
export const errorBytes = 4_096;
const maxErrorLength = 1_000;

const minArenaBytes = 1 << 20;
const maxArenaBytes = 64 << 20;

/** About an eighth of what the worker may hold for tensor data. The system gives the memory only as it is used. */
export function createArena(budgetBytes: number): ArenaState {
  const windowsBytes = powerOfTwo(Math.min(maxArenaBytes, Math.max(minArenaBytes, budgetBytes / 8)));
  const windows = windowsBytes / minWindowBytes;
  return {
    data: new SharedArrayBuffer(windowsBytes + windows * errorBytes),
    windowsBytes,
    filled: new SharedArrayBuffer(windows * Int32Array.BYTES_PER_ELEMENT),
  };
}

/** The largest that is not above the number. */
export function powerOfTwo(number: number): number {
  return 2 ** Math.floor(Math.log2(number));
}

/** The main thread's side of a window that is being fetched. */
export class WindowWriter {
  readonly #data: Uint8Array;
  readonly #filled: Int32Array;
  readonly #message: FetchMessage;
  #done = 0;

  constructor(arena: ArenaState, message: FetchMessage) {
    this.#data = new Uint8Array(arena.data);
    this.#filled = new Int32Array(arena.filled);
    this.#message = message;
  }

  append(bytes: Uint8Array): void {
    this.#data.set(bytes, this.#message.address + this.#done);
    this.#done += bytes.length;
    this.#tell(this.#done);
  }

  fail({ code, message }: AmalgamError): void {
    const text = Buffer.from(JSON.stringify({ code, message: message.slice(0, maxErrorLength) }));
    const cut =
      text.length <= errorBytes ? text : Buffer.from(JSON.stringify({ code, message: "Cannot fetch a range" }));
    this.#data.set(cut, this.#message.errorAddress);
    this.#tell(-1 - cut.length);
  }

  #tell(value: number): void {
    Atomics.store(this.#filled, this.#message.cell, value);
    Atomics.notify(this.#filled, this.#message.cell);
  }
}

/** The error that {@link WindowWriter.fail} left. */
export function readFailure(arena: ArenaState, errorAddress: number, filled: number): AmalgamError {
  // A copy: text is not decoded from shared memory.
  const bytes = Uint8Array.from(new Uint8Array(arena.data, errorAddress, -1 - filled));
  const { code, message } = JSON.parse(Buffer.from(bytes).toString()) as { code: ErrorCode; message: string };
  return new AmalgamError(code, message);
}
