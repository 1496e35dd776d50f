/** More rows than any test set has. A task's `limit` takes the first ones of a longer file, however long that is. */
export const maxRows = 10_000_000;

/** Of a CSV's header, a row of JSONL, a Parquet schema. */
export const maxFields = 10_000;

/** Of a Parquet file's footer, which is held whole; a thousand columns in a thousand row groups fit. */
export const maxFooterBytes = 256 << 20;

/** Of a folder of images, sub-folders counted. */
export const maxImages = 5_000_000;

/** What the rows of one task may take. */
export interface RowLimits {
  /** All of them, where the task sets no limit. */
  readonly rows: number;
  /** All of them together, as written: they are held in memory. */
  readonly bytes: number;
  /** A line of JSONL or a record of CSV. */
  readonly recordBytes: number;
  /** A page of Parquet, unpacked. */
  readonly pageBytes: number;
  /** The JavaScript heap of the process that reads Parquet, which has one row group at a time in it, decoded. */
  readonly heapBytes: number;
  /** How long Parquet may be read without getting any further, in milliseconds. */
  readonly stallMs: number;
}

export const rowLimits: RowLimits = {
  rows: maxRows,
  bytes: 2 ** 31,
  // A book fits; a file without line breaks is told early.
  recordBytes: 64 << 20,
  // Writers aim at 1 MB; one picture can be larger.
  pageBytes: 1 << 30,
  // Writers make row groups of 128 MB to 1 GB.
  heapBytes: 2 ** 32,
  // A megabyte of text takes 15 ms, so that the largest page has time too.
  stallMs: 30_000,
};
