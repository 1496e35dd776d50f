import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { crc32 as crc32Of } from "node:zlib";
import { mapBounded } from "../../../shared/checkpoint/bounded.js";
import { readFully } from "../../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { readS3Failure } from "../../../shared/remote/s3/failure.js";
import { combineCrc32 } from "../../../shared/rpc/crc32.js";
import { openOwn, writeError } from "../../assemble/durable.js";
import type { S3Folder } from "./bucket.js";
import { type FilePart, partsOf } from "./parts.js";
import type { UploadJournal } from "./upload-journal.js";
import type { SentPart } from "./upload-records.js";

/** Parts of a file that are sent at once. */
const concurrency = 4;
/** Tries to send a part whose bytes are changed on the way. */
const maxSends = 3;

/** A staged file that is whole. */
export interface WholeFile {
  /** In the output. */
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** Told from the receipts, so that what the server has in the end is compared with what agents computed. */
  readonly crc32: number;
}

/** An upload that the server has, and what is in it. */
export interface OpenUpload {
  readonly upload: string;
  readonly partBytes: number;
  /** Of the file that it was begun for. */
  readonly crc32: number;
  readonly sent: Map<number, SentPart>;
}

export interface SendOptions {
  /** Called before every part. Fails when another process took the work over. */
  readonly assertOurs: () => Promise<void>;
  /** Called at every step that a crash could fall between; tests crash there. */
  readonly step: (name: string) => void | Promise<void>;
  /** Called with the bytes of every part that the server has got. */
  readonly onPart: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Sends the parts of a file that the server has not got, each on record before it counts. */
export async function sendParts(
  folder: S3Folder,
  journal: UploadJournal,
  { name, path, bytes }: WholeFile,
  { upload, partBytes, sent }: OpenUpload,
  { assertOurs, step, onPart, signal }: SendOptions,
): Promise<void> {
  const missing = partsOf(bytes, partBytes).filter(({ part }) => !sent.has(part));
  if (missing.length === 0) return;
  await using handle = await openOwn(path, constants.O_RDONLY);
  await mapBounded(missing, concurrency, async (place) => {
    signal?.throwIfAborted();
    await assertOurs();
    const body = await readPart(handle, path, place);
    const { part } = place;
    const crc32 = crc32Of(body);
    const etag = await sendPart(folder, name, upload, { part, body, crc32 }, signal);
    const record = { part, bytes: place.bytes, crc32, etag };
    await journal.append({ type: "part", file: name, ...record });
    sent.set(part, record);
    onPart(place.bytes);
    await step("part-sent");
  });
}

/** Sends a part again that arrived with other bytes: the package tries again only what a server failed at. */
async function sendPart(folder: S3Folder, ...args: Parameters<S3Folder["sendPart"]>): Promise<string> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await folder.sendPart(...args);
    } catch (reason) {
      if (tries === maxSends || readS3Failure(reason).trouble !== "corrupt") throw reason;
    }
  }
}

/** Checks that what was read to be sent is what was merged: the disk may have changed it in between. */
export function assertSent({ name, path, bytes, crc32 }: WholeFile, { sent, partBytes }: OpenUpload): void {
  let found = 0;
  for (const { part, bytes: size } of partsOf(bytes, partBytes)) {
    found = combineCrc32(found, sent.get(part)?.crc32 ?? 0, size);
  }
  if (found === crc32) return;
  const problem = `its bytes on the disk are not those that were merged (CRC-32 ${hex(found)}, not ${hex(crc32)})`;
  throw new AmalgamError("chunk_corrupt", `Cannot send ${quote(path)}: ${problem}`, { details: { file: name } });
}

async function readPart(handle: FileHandle, path: string, { offset, bytes }: FilePart): Promise<Buffer> {
  const body = Buffer.allocUnsafe(bytes);
  const read = await readFully(handle, body, offset).catch((error: unknown) => {
    throw writeError(error, "read", path);
  });
  if (read === bytes) return body;
  throw new AmalgamError("io_failed", `Cannot send ${quote(path)}: it ends at byte ${offset + read}`);
}

function hex(crc32: number): string {
  return crc32.toString(16).padStart(8, "0");
}
