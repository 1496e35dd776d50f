import { formatCount } from "../quote.js";
import { decodeJsonString } from "./json-string.js";
import type { StringTable } from "./string-table.js";

/** Turns a problem found at a byte into the error that names the file. */
export type Refuse = (problem: string, at: number) => Error;

const quoteMark = 0x22;
const backslash = 0x5c;

/**
 * Reads JSON tokens straight from UTF-8 bytes, in one pass. `JSON.parse` will not do for files that others wrote: it
 * drops duplicate keys, rounds large integers, and nests as deep as it is told. Callers state the grammar: they ask for
 * the token that must come next, and anything else is an error at its byte.
 */
export class JsonScanner {
  readonly #bytes: Uint8Array;
  readonly #text: Buffer;
  readonly #refuse: Refuse;
  readonly #strings: StringTable | undefined;
  #at = 0;

  /** `strings`: for what is read again and again. @default every string is made anew */
  constructor(bytes: Uint8Array, refuse: Refuse, strings?: StringTable) {
    this.#bytes = bytes;
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#refuse = refuse;
    this.#strings = strings;
  }

  /** Where the next unread byte is. */
  get at(): number {
    return this.#at;
  }

  /** The next byte that is not white space, unread; -1 at the end. */
  peek(): number {
    const bytes = this.#bytes;
    let at = this.#at;
    while (at < bytes.length) {
      const byte = bytes[at] as number;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) {
        this.#at = at;
        return byte;
      }
      at += 1;
    }
    this.#at = at;
    return -1;
  }

  /** Reads `mark` if it comes next. */
  skip(mark: number): boolean {
    if (this.peek() !== mark) return false;
    this.#at += 1;
    return true;
  }

  /** Reads `mark`, which must come next. */
  expect(mark: number): void {
    if (!this.skip(mark)) throw this.unexpected(`"${String.fromCharCode(mark)}"`);
  }

  /** After an element of a list that `close` ends: true when a comma announces another one, false at the end. */
  another(close: number): boolean {
    const byte = this.peek();
    if (byte !== 0x2c && byte !== close) throw this.unexpected(`"," or "${String.fromCharCode(close)}"`);
    this.#at += 1;
    return byte === 0x2c;
  }

  /** Reads a string of at most `maxBytes` bytes as written, escapes included. */
  string(maxBytes: number): string {
    this.expect(quoteMark);
    const bytes = this.#bytes;
    const start = this.#at;
    const limit = Math.min(bytes.length, start + maxBytes + 1);
    let plain = true;
    let hash = 0;
    let at = start;
    for (; at < limit; at++) {
      const byte = bytes[at] as number;
      if (byte === quoteMark) break;
      hash = Math.imul(hash ^ byte, 0x01000193);
      if (byte >= 0x20 && byte < 0x80 && byte !== backslash) continue;
      plain = false;
      // The escaped byte is looked at later; here it only matters that it does not end the string.
      if (byte === backslash) at += 1;
    }
    if (at >= limit) {
      if (limit === bytes.length) throw this.#refuse("ends inside a string", start - 1);
      throw this.#refuse(`has a string of more than ${formatCount(maxBytes)} bytes`, start - 1);
    }
    this.#at = at + 1;
    if (plain)
      return this.#strings?.ascii(this.#text, start, at, spread(hash)) ?? this.#text.toString("latin1", start, at);
    const decoded = decodeJsonString(bytes.subarray(start, at));
    if ("problem" in decoded) throw this.#refuse(decoded.problem, start);
    return decoded.text;
  }

  /** Reads a whole number from 0 to 2^53 - 1, written in digits only: no sign, point, exponent or leading zero. */
  unsigned(): number {
    const first = this.peek();
    if (first < 0x30 || first > 0x39) throw this.unexpected("a whole number");
    const start = this.#at;
    let value = 0;
    let at = start;
    for (; ; at++) {
      const digit = (this.#bytes[at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      // From here on one more digit would leave the integers that a double can hold.
      if (value > 900_719_925_474_099 || (value === 900_719_925_474_099 && digit > 1)) {
        throw this.#refuse("has a number above 2^53 - 1", start);
      }
      value = value * 10 + digit;
    }
    this.#at = at;
    const next = this.#bytes[at];
    if (next === 0x2e || next === 0x65 || next === 0x45) throw this.#refuse("has a number that is not whole", start);
    if (first === 0x30 && at > start + 1) throw this.#refuse("has a number with a leading zero", start);
    return value;
  }

  /** Reads the letters, digits, signs and points of a number or a word such as `true`, for the caller to judge. */
  word(maxBytes: number): string {
    this.peek();
    const start = this.#at;
    while (this.#at - start <= maxBytes && isWordByte(this.#bytes[this.#at] ?? 0)) this.#at += 1;
    if (this.#at - start > maxBytes)
      throw this.#refuse(`has a word of more than ${formatCount(maxBytes)} bytes`, start);
    if (this.#at === start) throw this.unexpected("a value");
    return this.#text.toString("latin1", start, this.#at);
  }

  /** Checks that nothing but spaces follows. */
  end(): void {
    while (this.#bytes[this.#at] === 0x20) this.#at += 1;
    if (this.#at < this.#bytes.length) throw this.unexpected("only spaces after the last brace");
  }

  /** The error for a byte that cannot stand here. */
  unexpected(wanted: string): Error {
    const byte = this.#bytes[this.#at];
    const found =
      byte === undefined
        ? "the end"
        : byte > 0x20 && byte < 0x7f
          ? `"${String.fromCharCode(byte)}"`
          : `byte 0x${byte.toString(16).padStart(2, "0")}`;
    return this.#refuse(`has ${found} where it should have ${wanted}`, this.#at);
  }

  /** The error for a problem at the next unread byte. */
  problem(problem: string): Error {
    return this.#refuse(problem, this.#at);
  }
}

/** FNV's low bits hardly depend on the last bytes' high ones; a table goes by the low bits. */
function spread(hash: number): number {
  return hash ^ (hash >>> 15);
}

function isWordByte(byte: number): boolean {
  const lower = byte | 0x20;
  return (
    (lower >= 0x61 && lower <= 0x7a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2b ||
    byte === 0x2d ||
    byte === 0x2e
  );
}
