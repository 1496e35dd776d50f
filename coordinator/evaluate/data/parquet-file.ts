import type { FileHandle } from "node:fs/promises";
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { formatBytes } from "../../../shared/bytes.js";
import { openRegularFile, readFully } from "../../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../../shared/errors.js";
import { formatCount } from "../../../shared/quote.js";
import { RowBudget } from "./budget.js";
import { dataError } from "./complain.js";
import { maxFields, maxFooterBytes } from "./limits.js";
import { type ParquetRow, RowChunk } from "./parquet-chunk.js";
import type { ParquetTask } from "./parquet-process.js";

/** What is read of a file at once, so that a slow disk is seen to get on. */
const pieceBytes = 8 << 20;

/**
 * The first `task.rows` rows, a row group at a time. Only the row groups that hold them are read. `advance` is called
 * whenever reading has got further, and by a reader that goes in circles no more.
 */
export async function* readParquetFile(task: ParquetTask, advance: () => void): AsyncGenerator<RowChunk> {
  const { path, limits } = task;
  const { handle, bytes } = await openRegularFile(path);
  try {
    const file = bufferOf(handle, bytes, advance);
    await assertFooter(path, file);
    const metadata = await parquetMetadataAsync(file, { geoparquet: false });
    assertSchema(path, metadata);
    const rows = Math.min(Number(metadata.num_rows), task.rows);
    const claimedBytes = uncompressedBytes(metadata, rows);
    new RowBudget(undefined, limits).spend(path, rows, claimedBytes);
    const codecs = boundedCodecs(limits.pageBytes, claimedBytes, advance);
    const options = { file, metadata, compressors: codecs, utf8: false };
    let rowStart = 0;
    for (const { num_rows } of metadata.row_groups) {
      const rowEnd = Math.min(rowStart + Number(num_rows), rows);
      if (rowEnd <= rowStart) continue;
      const group = await parquetReadObjects({ ...options, rowStart, rowEnd });
      advance();
      yield* chunksOf(group, advance);
      rowStart = rowEnd;
    }
    if (rowStart < rows) {
      throw new RangeError(`the footer counts ${formatCount(rows)} rows, its row groups ${formatCount(rowStart)}`);
    }
  } catch (error) {
    if (error instanceof AmalgamError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw dataError(path, `Cannot read the file as Parquet: ${reason}`, error);
  } finally {
    await handle.close();
  }
}

function* chunksOf(group: readonly ParquetRow[], advance: () => void): Generator<RowChunk> {
  let chunk = new RowChunk();
  for (const row of group) {
    chunk.add(row);
    if (!chunk.isFull) continue;
    yield chunk;
    advance();
    chunk = new RowChunk();
  }
  if (chunk.rows.length > 0) yield chunk;
}

function bufferOf(handle: FileHandle, byteLength: number, advance: () => void): AsyncBuffer {
  const read = async (start: number, end: number) => {
    // A footer that lies about offsets must not make us set memory aside.
    if (!(start >= 0 && end >= start && end <= byteLength)) {
      throw new RangeError(`bytes ${start} to ${end} are asked for, and the file has ${byteLength}`);
    }
    const content = new Uint8Array(end - start);
    for (let at = 0; at < content.length; at += pieceBytes) {
      await readFully(handle, content.subarray(at, at + pieceBytes), start + at);
      advance();
    }
    return content.buffer;
  };
  return {
    byteLength,
    slice(start, end = byteLength) {
      const content = read(start, end);
      // The reader asks for many pieces at once and gives up at the first that fails: nobody waits for the others.
      content.catch(() => undefined);
      return content;
    },
  };
}

/** A file begins and ends with "PAR1"; the length of the footer is in the four bytes before the end. */
async function assertFooter(path: string, file: AsyncBuffer): Promise<void> {
  if (file.byteLength < 12) throw dataError(path, `The file has ${file.byteLength} bytes, too few for Parquet`);
  const end = Buffer.from(await file.slice(file.byteLength - 8));
  if (end.toString("latin1", 4) === "PARE") throw dataError(path, "The Parquet file is encrypted");
  if (end.toString("latin1", 4) !== "PAR1") throw dataError(path, 'Not a Parquet file: it does not end with "PAR1"');
  const footerBytes = end.readUInt32LE(0);
  if (footerBytes <= Math.min(maxFooterBytes, file.byteLength - 12)) return;
  throw dataError(
    path,
    `The Parquet footer claims ${formatBytes(footerBytes)}, more than the file or the limit allows`,
  );
}

function assertSchema(path: string, { schema }: FileMetaData): void {
  if (schema.length <= maxFields) return;
  throw dataError(path, `The schema has ${formatCount(schema.length)} parts, more than ${formatCount(maxFields)}`);
}

/** Of all row groups that begin before `rowEnd`. */
function uncompressedBytes(metadata: FileMetaData, rowEnd: number): number {
  let bytes = 0;
  let firstRow = 0;
  for (const group of metadata.row_groups) {
    if (firstRow >= rowEnd) break;
    for (const { meta_data } of group.columns) {
      bytes += Number(meta_data?.total_uncompressed_size ?? 0);
    }
    firstRow += Number(group.num_rows);
  }
  return bytes;
}

/**
 * The same codecs, held to a size: a page's header says how large its content becomes, and may say anything. Beyond what
 * the footer claims for all pages, one more of them is no advance: it may be the same one again.
 */
function boundedCodecs(maxPageBytes: number, claimedBytes: number, advance: () => void): Compressors {
  let unpacked = 0;
  const bounded = Object.entries(compressors).map(([codec, decompress]) => [
    codec,
    (input: Uint8Array, bytes: number) => {
      // The LZ4 of hyparquet-compressors 1.1.2 fails on what an empty page is compressed to.
      if (bytes === 0) return new Uint8Array();
      if (!(bytes > 0 && bytes <= maxPageBytes)) {
        throw new RangeError(`a page claims ${formatBytes(bytes)}, the limit is ${formatBytes(maxPageBytes)}`);
      }
      unpacked += bytes;
      if (unpacked <= claimedBytes) advance();
      return decompress(input, bytes);
    },
  ]);
  return Object.fromEntries(bounded);
}
