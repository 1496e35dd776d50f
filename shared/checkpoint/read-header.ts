import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";
import { ByteGate } from "./byte-gate.js";
import { assertNotForeign } from "./foreign-file.js";
import { type Header, type HeaderContext, parseHeader } from "./header.js";
import { assertFirstByte, assertHeaderLength, headerError, lengthBytes, maxHeaderBytes } from "./header-limits.js";
import { fileError, openRegularFile, type RegularFileOptions, readFully } from "./regular-file.js";
import type { StringTable } from "./string-table.js";

/** What identifies a file by its header. */
export type HeaderDigest = {
  /** SHA-256 of the file's first `header.dataOffset` bytes, in hexadecimal. */
  readonly headerSha256: string;
  readonly fileBytes: number;
};

/** A header and what identifies the file it was read from. */
export type HeaderFile = HeaderDigest & { readonly header: Header };

/** Bytes of a first read; nine headers in ten are smaller, and then it is the only one. */
const firstReadBytes = 64 << 10;

/** Header bytes held at once by the whole process: one header of the largest size, or many usual ones. */
const gate = new ByteGate(maxHeaderBytes + lengthBytes);

/**
 * Reads and parses the header of a safetensors file. Every size is checked before memory is taken for it, and a path
 * that is not a regular file is refused rather than waited for. Problems with the file are `checkpoint_malformed`.
 * `strings`: see `parseHeader()`.
 */
export function readHeader(
  path: string,
  options: RegularFileOptions & { readonly strings?: StringTable } = {},
): Promise<HeaderFile> {
  return withHeaderBytes(path, options, (whole, context) => {
    const header = parseHeader(whole.subarray(lengthBytes), context, options.strings);
    return { header, ...digestOf(whole, context) };
  });
}

/** The same without parsing it, for files that may have a header that is known. */
export function readHeaderDigest(path: string, options: RegularFileOptions = {}): Promise<HeaderDigest> {
  return withHeaderBytes(path, options, digestOf);
}

function digestOf(whole: Uint8Array, { fileBytes }: HeaderContext): HeaderDigest {
  return { headerSha256: createHash("sha256").update(whole).digest("hex"), fileBytes };
}

/** Hands over a header's bytes, the eight of its length included. */
async function withHeaderBytes<Result>(
  path: string,
  options: RegularFileOptions,
  use: (whole: Uint8Array, context: HeaderContext) => Result,
): Promise<Result> {
  const file = options.name ?? path;
  const { handle, bytes: fileBytes } = await openRegularFile(path, options);
  try {
    const context = { file, fileBytes };
    const start = new Uint8Array(Math.min(firstReadBytes, fileBytes));
    const first = start.subarray(0, await readFully(handle, start, 0));
    // Only then: a true header may be as long as the first bytes of a pickle say.
    if (first[lengthBytes] !== 0x7b) assertNotForeign(first, file);
    if (first.length < lengthBytes) throw headerError(file, `the file has ${first.length} bytes, fewer than 8`);
    const length = new DataView(first.buffer).getBigUint64(0, true);
    assertHeaderLength(length, context);
    assertFirstByte(first.subarray(lengthBytes), context);
    const wholeBytes = lengthBytes + Number(length);
    return await gate.hold(wholeBytes, async () => use(await readWhole(handle, first, wholeBytes, context), context));
  } catch (error) {
    throw fileError(error, file);
  } finally {
    await handle.close();
  }
}

/** The first `wholeBytes` bytes of the file, of which `first` are already here. */
async function readWhole(
  handle: FileHandle,
  first: Uint8Array,
  wholeBytes: number,
  { file }: HeaderContext,
): Promise<Uint8Array> {
  if (first.length >= wholeBytes) return first.subarray(0, wholeBytes);
  const whole = new Uint8Array(wholeBytes);
  whole.set(first);
  const read = await readFully(handle, whole.subarray(first.length), first.length);
  if (first.length + read < wholeBytes) {
    throw new AmalgamError("checkpoint_changed", `Cannot read header of ${quote(file)}: the file shrank meanwhile`, {
      details: { file },
    });
  }
  return whole;
}
