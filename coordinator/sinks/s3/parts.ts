/** What S3 allows: parts of one object, and the least that each but the last must have. */
const maxParts = 10_000;
const mebibyte = 1 << 20;
/** Small enough that a part that fails is soon sent again, large enough that requests cost little. */
const usualPartBytes = 16 * mebibyte;

/** A stretch of a file that is sent at once. */
export interface FilePart {
  /** From 1 on. */
  readonly part: number;
  readonly offset: number;
  readonly bytes: number;
}

/** 16 MiB up to files of 156 GiB, then as much as it takes, in whole MiB. */
export function choosePartBytes(fileBytes: number): number {
  return Math.max(usualPartBytes, Math.ceil(fileBytes / maxParts / mebibyte) * mebibyte);
}

/** The parts of a file, in order. */
export function partsOf(fileBytes: number, partBytes: number): readonly FilePart[] {
  return Array.from({ length: Math.ceil(fileBytes / partBytes) }, (_, i) => ({
    part: i + 1,
    offset: i * partBytes,
    bytes: Math.min(partBytes, fileBytes - i * partBytes),
  }));
}
