import { sliceMs } from "../io-limit.js";
import {
  type ArenaState,
  errorBytes,
  type FetchMessage,
  maxWindowBytes,
  minWindowBytes,
  powerOfTwo,
  readFailure,
} from "./arena.js";
import { maxRequestBytes } from "./coalesce.js";
import type { Extents } from "./extents.js";

/** Windows that are fetched ahead of one reader at most. */
const maxAhead = 4;

/** The same of a server, which is far away: with the window that is read, two of the largest requests. */
const maxServerAhead = (2 * maxRequestBytes) / maxWindowBytes - 1;

/** What is fetched where nothing says that the bytes behind will be wanted, too. */
const firstBytes = 256 << 10;

export interface RemoteFilesOptions {
  readonly arena: ArenaState;
  /** Tensors that are read in turn, which share the arena. At least 1. */
  readonly streams: number;
  readonly extents: Extents;
  /** Whether a source is on a server. @default no source is */
  readonly isOnServer?: (source: number) => boolean;
  /** Asks the main thread for bytes. */
  readonly fetch: (message: FetchMessage) => void;
  /** Called while waiting, several times a second; throws to end it. */
  readonly lookUp: (source: number) => void;
}

/** A range of a file, of which some bytes are here and the rest is on its way. */
interface Window {
  readonly cell: number;
  readonly address: number;
  source: number;
  begin: number;
  end: number;
  /** Windows to fetch ahead of whoever reads this one; twice as many as for the window before. */
  ahead: number;
  /** Where the furthest read in it ended. */
  readTo: number;
  lastUse: number;
}

/**
 * Reads files that only other agents or servers have, for a worker, which is synchronous: the main thread fetches into
 * windows of shared memory while the worker computes or sleeps. What is read in sequence is fetched ahead, from servers
 * several windows at a time, which become one request.
 */
export class RemoteFiles {
  readonly #options: RemoteFilesOptions;
  readonly #filled: Int32Array;
  readonly #windowBytes: number;
  /** As far as there is room for all streams. */
  readonly #room: number;
  readonly #windows: readonly Window[];
  #uses = 0;

  constructor(options: RemoteFilesOptions) {
    const { arena, streams } = options;
    this.#options = options;
    this.#filled = new Int32Array(arena.filled);
    // One that is read and one ahead for each stream, if there is room.
    const share = powerOfTwo(arena.windowsBytes / (2 * streams));
    this.#windowBytes = Math.min(maxWindowBytes, Math.max(minWindowBytes, share));
    const count = arena.windowsBytes / this.#windowBytes;
    this.#room = Math.max(0, Math.floor(count / streams) - 1);
    this.#windows = Array.from({ length: count }, (_, cell) => {
      return { cell, address: cell * this.#windowBytes, source: -1, begin: 0, end: 0, ahead: 0, readTo: 0, lastUse: 0 };
    });
  }

  /** Fills `into` from a source of `fileBytes`. Blocks; fails with what the main thread could not do. */
  read(source: number, fileBytes: number, into: Uint8Array, position: number): void {
    for (let done = 0; done < into.length; ) {
      const at = position + done;
      const window = this.#find(source, at) ?? this.#open(source, fileBytes, at, into.length - done);
      const count = Math.min(into.length - done, window.end - at);
      this.#touch(window, at, at + count);
      this.#readAhead(window, fileBytes);
      this.#waitFor(window, at + count - window.begin);
      into.set(new Uint8Array(this.#options.arena.data, window.address + at - window.begin, count), done);
      done += count;
    }
  }

  #find(source: number, position: number): Window | undefined {
    return this.#windows.find((w) => w.source === source && w.begin <= position && position < w.end);
  }

  #open(source: number, fileBytes: number, begin: number, wanted: number): Window {
    const before = this.#windows.find((window) => window.source === source && window.end === begin);
    const bytes = before === undefined ? Math.max(wanted, firstBytes) : this.#windowBytes;
    const window = this.#spare((other) => other.readTo === other.end) ?? this.#spare() ?? this.#waitForSpare();
    return this.#fetch(window, source, begin, Math.min(bytes, this.#endAt(source, begin, fileBytes) - begin), before);
  }

  #touch(window: Window, position: number, end: number): void {
    if (position > window.begin && window.ahead === 0) window.ahead = Math.min(1, this.#maxAhead(window.source));
    window.readTo = Math.max(window.readTo, end);
    this.#uses += 1;
    window.lastUse = this.#uses;
  }

  #readAhead(window: Window, fileBytes: number): void {
    const { source } = window;
    const end = this.#endAt(source, window.begin, fileBytes);
    if (this.#isOnServer(source) && this.#isWellAhead(window, end)) return;
    let last = window;
    for (let i = 0; i < window.ahead && last.end < end; i += 1) {
      let next = this.#find(source, last.end);
      if (next === undefined) {
        // What somebody has begun to read is not given up for what may be wanted.
        const spare = this.#spare((other) => other.readTo === other.end && other !== window);
        if (spare === undefined) return;
        next = this.#fetch(spare, source, last.end, end - last.end, last);
      }
      last = next;
    }
  }

  /** One window more for each that was read would be one request each. */
  #isWellAhead({ source, end, ahead }: Window, extentEnd: number): boolean {
    let at = end;
    for (let i = 0; i < ahead / 2 && at < extentEnd; i += 1) {
      const next = this.#find(source, at);
      if (next === undefined) return false;
      at = next.end;
    }
    return true;
  }

  #isOnServer(source: number): boolean {
    return this.#options.isOnServer?.(source) === true;
  }

  #maxAhead(source: number): number {
    return Math.min(this.#room, this.#isOnServer(source) ? maxServerAhead : maxAhead);
  }

  #endAt(source: number, position: number, fileBytes: number): number {
    return this.#options.extents.endAt(source, position) ?? fileBytes;
  }

  #fetch(window: Window, source: number, begin: number, bytes: number, before: Window | undefined): Window {
    const length = Math.min(bytes, this.#windowBytes);
    const { cell, address } = window;
    this.#uses += 1;
    Object.assign(window, {
      source,
      begin,
      end: begin + length,
      ahead: before === undefined ? 0 : Math.min(this.#maxAhead(source), Math.max(1, 2 * before.ahead)),
      readTo: begin,
      lastUse: this.#uses,
    });
    Atomics.store(this.#filled, cell, 0);
    const errorAddress = this.#errorAddress(cell);
    this.#options.fetch({ type: "fetch", source, offset: begin, length, cell, address, errorAddress });
    return window;
  }

  #errorAddress(cell: number): number {
    return this.#options.arena.windowsBytes + cell * errorBytes;
  }

  /** A window that nothing is written into any more: an unused one, else the one that was used least lately. */
  #spare(mayGo: (window: Window) => boolean = () => true): Window | undefined {
    let found: Window | undefined;
    for (const window of this.#windows) {
      if (window.source < 0) return window;
      if (!this.#isOver(window) || !mayGo(window)) continue;
      if (found === undefined || window.lastUse < found.lastUse) found = window;
    }
    return found;
  }

  /** All windows are on their way, so the one that was asked for first is waited for. */
  #waitForSpare(): Window {
    const first = this.#windows.reduce((oldest, window) => (window.lastUse < oldest.lastUse ? window : oldest));
    this.#waitFor(first, first.end - first.begin);
    return first;
  }

  #isOver({ cell, begin, end }: Window): boolean {
    const filled = Atomics.load(this.#filled, cell);
    return filled < 0 || filled === end - begin;
  }

  #waitFor({ cell, source }: Window, bytes: number): void {
    for (;;) {
      const filled = Atomics.load(this.#filled, cell);
      if (filled < 0) throw readFailure(this.#options.arena, this.#errorAddress(cell), filled);
      if (filled >= bytes) return;
      this.#options.lookUp(source);
      Atomics.wait(this.#filled, cell, filled, sliceMs);
    }
  }
}
