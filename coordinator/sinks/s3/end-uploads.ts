import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import type { S3ClientOptions } from "../../../shared/remote/s3/client.js";
import { readS3Failure } from "../../../shared/remote/s3/failure.js";
import { S3Folder } from "./bucket.js";
import { outputError } from "./output-error.js";
import { outputPlace } from "./place.js";
import { readAllUploads } from "./upload-journal.js";
import type { FileRecord } from "./upload-records.js";

/** Clocks of clients and of S3 are at most so far apart, or it refuses every request. */
const clockSkewMs = 15 * 60_000;

/**
 * Ends the uploads that the journals of a staging directory know of, so that no parts are left behind that nobody will
 * ever see and somebody pays for. Fails when the server cannot be reached.
 */
export async function endRecordedUploads(root: string, options: S3ClientOptions = {}): Promise<void> {
  for (const { url: written, files } of await readAllUploads(root)) {
    const open = [...files].filter(([, { state }]) => state !== "completed");
    if (open.length === 0) continue;
    const { url, ...place } = outputPlace(written);
    const folder = new S3Folder(place, options);
    try {
      for (const [name, record] of open) await endUpload(folder, name, record);
    } catch (reason) {
      const { code, message, details } = outputError(reason, url);
      const act = `Cannot take back what was sent, as ${quote(root)} has it`;
      const remedy = "where that is gone for good, remove this folder";
      throw new AmalgamError(code, `${act}: ${message}; ${remedy}`, { details });
    } finally {
      folder.close();
    }
  }
}

/** Ends the upload of one file. One that was asked for, with no answer on record, is looked for. */
export async function endUpload(
  folder: S3Folder,
  name: string,
  record: FileRecord,
  signal?: AbortSignal,
): Promise<void> {
  if (record.state === "sending") return folder.abort(name, record.upload, signal);
  if (record.state === "completed") return;
  const since = Date.parse(record.at) - clockSkewMs;
  for (const upload of await startedSince(folder, name, since, signal)) {
    // Nobody knew its id, so nobody sent a part: one that has any is somebody else's.
    const parts = await folder.parts(name, upload, signal);
    if (parts?.size === 0) await folder.abort(name, upload, signal);
  }
}

/** Without the right to look for them, uploads that hold nothing stay: they cost nothing either. */
async function startedSince(
  folder: S3Folder,
  name: string,
  since: number,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  try {
    return await folder.uploadsSince(name, since, signal);
  } catch (reason) {
    if (["denied", "unknown_word"].includes(readS3Failure(reason).trouble)) return [];
    throw reason;
  }
}
