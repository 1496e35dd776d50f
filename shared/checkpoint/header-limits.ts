import { AmalgamError } from "../errors.js";
import { formatCount, quote } from "../quote.js";

/** A safetensors file starts with its header's length, a little-endian unsigned 64-bit integer. */
export const lengthBytes = 8;

/**
 * Largest header we accept, the same as the safetensors reference reader. It keeps a hostile file from making us
 * allocate what its first eight bytes ask for.
 */
export const maxHeaderBytes = 100_000_000;

/**
 * Most tensors in one file. The largest published model, Kimi-K2, has 139,583 in 61 files, so even one file that holds
 * all of it fits. A header of legal size could hold a million, and parsing those would keep the event loop from
 * answering keepalives.
 */
export const maxTensorsPerFile = 250_000;

/** Longest tensor name, in bytes as written. Published names end near 120. */
export const maxNameBytes = 4096;

/** Most dimensions of a tensor. NumPy stops at 64, and weights have at most 5. */
export const maxRank = 64;

/** Most entries of `__metadata__`; trainers write some hundred. */
export const maxMetadataEntries = 10_000;

/** Longest text in `__metadata__`; trainers put thumbnails and tag statistics there, up to a few megabytes. */
export const maxMetadataTextBytes = 16 << 20;

/** The file around a header. */
export type HeaderContext = {
  /** The file's name, for error messages. */
  readonly file: string;
  readonly fileBytes: number;
};

/**
 * Checks what the first eight bytes of a file say, before anything of that size is allocated. A `bigint`, because they
 * can say 2^64 - 1.
 */
export function assertHeaderLength(length: bigint, { file, fileBytes }: HeaderContext): void {
  if (length > BigInt(maxHeaderBytes)) {
    throw headerError(file, `its length is ${length} bytes, above the limit of ${formatCount(maxHeaderBytes)}`);
  }
  if (length < 2n) throw headerError(file, `its length is ${length} bytes, and the shortest header has 2`);
  const beyond = length + BigInt(lengthBytes) - BigInt(fileBytes);
  if (beyond > 0n) throw headerError(file, `its length is ${length} bytes, ${beyond} beyond the end of the file`);
}

/** Checks that a header starts with a brace, which the format demands and most things that are not headers do not. */
export function assertFirstByte(bytes: Uint8Array, { file }: HeaderContext): void {
  const first = bytes[0] ?? 0;
  if (first === 0x7b) return;
  const found = first === 0xef ? "a byte order mark" : `byte 0x${first.toString(16).padStart(2, "0")}`;
  throw headerError(file, `it starts with ${found} instead of "{"`);
}

/** The one shape of error for a broken header. */
export function headerError(file: string, problem: string, tensor?: string): AmalgamError {
  const where = tensor === undefined ? "" : `tensor ${quote(tensor)}: `;
  return new AmalgamError("checkpoint_malformed", `Cannot read header of ${quote(file)}: ${where}${problem}`, {
    details: tensor === undefined ? { file } : { file, tensor },
  });
}
