import { createHash } from "node:crypto";
import * as s3 from "@aws-sdk/client-s3";
import { createS3Client, type S3ClientOptions } from "../../../shared/remote/s3/client.js";
import { readS3Failure } from "../../../shared/remote/s3/failure.js";
import { type S3Place, within } from "../../../shared/remote/s3/place.js";
import {
  type CompletedPart,
  decodeCrc32,
  encodeCrc32,
  type ListedObject,
  metadataOf,
  type ObjectMarks,
  type StoredObject,
  type StoredPart,
} from "./objects.js";

const maxPages = 20;

/**
 * A folder of a bucket, and the few things that are done in it. Fails with the package's own errors, which
 * `readS3Failure()` reads. Every byte is sent with a CRC-32 that the server checks; a server that knows no such headers
 * gets an MD5 instead.
 */
export class S3Folder {
  readonly #place: S3Place;
  readonly #options: S3ClientOptions;
  #client: s3.S3Client;
  #hasChecksums = true;

  /** `place.key`: of the folder, without a slash at its end. */
  constructor(place: S3Place, options: S3ClientOptions = {}) {
    this.#place = place;
    this.#options = options;
    this.#client = createS3Client(options);
  }

  close(): void {
    this.#client.destroy();
  }

  /** The objects right in the folder, by name. */
  async list(signal?: AbortSignal): Promise<ReadonlyMap<string, ListedObject>> {
    const { bucket: Bucket, key } = this.#place;
    const Prefix = `${key}/`;
    const found = new Map<string, ListedObject>();
    let ContinuationToken: string | undefined;
    for (let page = 0; page < maxPages; page += 1) {
      const command = new s3.ListObjectsV2Command({ Bucket, Prefix, Delimiter: "/", ContinuationToken });
      const answer = await this.#client.send(command, within(signal));
      for (const { Key = "", Size: bytes = 0, ETag: etag = "" } of answer.Contents ?? []) {
        // Consoles show a folder by an empty object whose name ends with a slash.
        if (Key !== Prefix) found.set(Key.slice(Prefix.length), { bytes, etag });
      }
      ContinuationToken = answer.NextContinuationToken;
      if (answer.IsTruncated !== true || ContinuationToken === undefined) break;
    }
    return found;
  }

  /** Undefined: there is no such object. */
  async head(name: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    try {
      const checksums = this.#hasChecksums ? ({ ChecksumMode: "ENABLED" } as const) : {};
      const command = new s3.HeadObjectCommand({ ...this.#at(name), ...checksums });
      const { ContentLength, ETag, ChecksumCRC32, ChecksumType, Metadata } = await this.#client.send(
        command,
        within(signal),
      );
      return {
        bytes: ContentLength ?? 0,
        etag: ETag ?? "",
        crc32: ChecksumType === "COMPOSITE" ? undefined : decodeCrc32(ChecksumCRC32),
        plan: Metadata?.["amalgam-plan"],
        expectedCrc32: decodeCrc32(Metadata?.["amalgam-crc32"]),
      };
    } catch (reason) {
      if (readS3Failure(reason).trouble === "absent") return undefined;
      throw reason;
    }
  }

  /** The whole of an object of at most so many bytes. */
  async get(name: string, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
    const { Body } = await this.#client.send(new s3.GetObjectCommand(this.#at(name)), within(signal));
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of Body as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new RangeError(`An object has more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  /** Writes an object where there is none and returns its ETag; fails with "condition" where there is one. */
  async put(name: string, body: Uint8Array, marks: ObjectMarks, signal?: AbortSignal): Promise<string> {
    const input = { ...this.#at(name), Metadata: metadataOf(marks), Body: body, ...this.#proofOf(body, marks.crc32) };
    try {
      const command = new s3.PutObjectCommand({ ...input, IfNoneMatch: "*" });
      return (await this.#client.send(command, within(signal))).ETag ?? "";
    } catch (reason) {
      await this.#insteadOfCondition(name, reason, signal);
      return (await this.#client.send(new s3.PutObjectCommand(input), within(signal))).ETag ?? "";
    }
  }

  /** Removes an object as long as it is the one with this ETag; fails with "condition" where it is another. */
  async remove(name: string, etag: string, signal?: AbortSignal): Promise<void> {
    const input = this.#at(name);
    try {
      await this.#client.send(new s3.DeleteObjectCommand({ ...input, IfMatch: etag }), within(signal));
    } catch (reason) {
      const { trouble } = readS3Failure(reason);
      if (trouble === "absent") return;
      if (trouble !== "unknown_word") throw reason;
      await this.#client.send(new s3.DeleteObjectCommand(input), within(signal));
    }
  }

  /** Begins an upload and returns its id. */
  async create(name: string, marks: ObjectMarks, signal?: AbortSignal): Promise<string> {
    const input = { ...this.#at(name), Metadata: metadataOf(marks), ContentType: "application/octet-stream" };
    const whole = { ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT" } as const;
    const command = new s3.CreateMultipartUploadCommand(this.#hasChecksums ? { ...input, ...whole } : input);
    try {
      const { UploadId } = await this.#client.send(command, within(signal));
      if (UploadId === undefined) throw new TypeError("The server began an upload without an id");
      return UploadId;
    } catch (reason) {
      if (!this.doWithout(reason)) throw reason;
      return this.create(name, marks, signal);
    }
  }

  /** Sends a part and returns its ETag. */
  async sendPart(
    name: string,
    upload: string,
    { part, body, crc32 }: { readonly part: number; readonly body: Uint8Array; readonly crc32: number },
    signal?: AbortSignal,
  ): Promise<string> {
    const input = { ...this.#at(name), UploadId: upload, PartNumber: part, Body: body };
    const command = new s3.UploadPartCommand({ ...input, ...this.#proofOf(body, crc32) });
    const { ETag = "", ChecksumCRC32 } = await this.#client.send(command, within(signal));
    if (!this.#hasChecksums || ChecksumCRC32 !== undefined) return ETag;
    // It passed over what it does not know: nobody has checked the part, unless its ETag tells the bytes' MD5.
    const md5 = md5Of(body);
    if (ETag === `"${md5.toString("hex")}"`) return ETag;
    const again = new s3.UploadPartCommand({ ...input, ContentMD5: md5.toString("base64") });
    return (await this.#client.send(again, within(signal))).ETag ?? "";
  }

  /** What the server has of an upload, by part; undefined when there is no such upload any more. */
  async parts(name: string, upload: string, signal?: AbortSignal): Promise<Map<number, StoredPart> | undefined> {
    const found = new Map<number, StoredPart>();
    let PartNumberMarker: string | undefined;
    try {
      for (let page = 0; page < maxPages; page += 1) {
        const command = new s3.ListPartsCommand({ ...this.#at(name), UploadId: upload, PartNumberMarker });
        const answer = await this.#client.send(command, within(signal));
        for (const { PartNumber = 0, Size = 0, ETag = "", ChecksumCRC32 } of answer.Parts ?? []) {
          found.set(PartNumber, { bytes: Size, etag: ETag, crc32: decodeCrc32(ChecksumCRC32) });
        }
        PartNumberMarker = answer.NextPartNumberMarker;
        if (answer.IsTruncated !== true || PartNumberMarker === undefined) break;
      }
      return found;
    } catch (reason) {
      const { trouble } = readS3Failure(reason);
      if (trouble === "no_upload" || trouble === "absent") return undefined;
      throw reason;
    }
  }

  /**
   * Makes an upload's parts the object, where there is none; fails with "condition" where there is one. The server
   * compares what it puts together with the CRC-32 of the whole.
   */
  async complete(
    name: string,
    upload: string,
    { parts, crc32 }: { readonly parts: readonly CompletedPart[]; readonly crc32: number },
    signal?: AbortSignal,
  ): Promise<void> {
    const whole = this.#hasChecksums
      ? ({ ChecksumCRC32: encodeCrc32(crc32), ChecksumType: "FULL_OBJECT" } as const)
      : {};
    const Parts = parts.map(({ part, etag, crc32 }) => ({
      PartNumber: part,
      ETag: etag,
      ...(this.#hasChecksums ? { ChecksumCRC32: encodeCrc32(crc32) } : {}),
    }));
    const input = { ...this.#at(name), UploadId: upload, MultipartUpload: { Parts }, ...whole };
    try {
      await this.#client.send(new s3.CompleteMultipartUploadCommand({ ...input, IfNoneMatch: "*" }), within(signal));
    } catch (reason) {
      await this.#insteadOfCondition(name, reason, signal);
      await this.#client.send(new s3.CompleteMultipartUploadCommand(input), within(signal));
    }
  }

  /** Removes an upload and its parts. One that is gone already is fine. */
  async abort(name: string, upload: string, signal?: AbortSignal): Promise<void> {
    try {
      const command = new s3.AbortMultipartUploadCommand({ ...this.#at(name), UploadId: upload });
      await this.#client.send(command, within(signal));
    } catch (reason) {
      const { trouble } = readS3Failure(reason);
      if (trouble !== "no_upload" && trouble !== "absent") throw reason;
    }
  }

  /** Uploads to a name that were begun since a time, by whomever. */
  async uploadsSince(name: string, sinceMs: number, signal?: AbortSignal): Promise<readonly string[]> {
    const { Bucket, Key } = this.#at(name);
    const command = new s3.ListMultipartUploadsCommand({ Bucket, Prefix: Key });
    const { Uploads = [] } = await this.#client.send(command, within(signal));
    return Uploads.flatMap(({ Key: key, UploadId, Initiated }) =>
      key === Key && UploadId !== undefined && (Initiated?.getTime() ?? 0) >= sinceMs ? [UploadId] : [],
    );
  }

  /**
   * Whether the server complained of words that it does not know, and is from now on spoken to without checksums. Uploads
   * that were begun with them are to be begun anew.
   */
  doWithout(reason: unknown): boolean {
    if (!this.#hasChecksums || readS3Failure(reason).trouble !== "unknown_word") return false;
    this.#hasChecksums = false;
    this.#client.destroy();
    this.#client = createS3Client({ ...this.#options, checksums: "required" });
    return true;
  }

  /** Returns when something may be written without a condition, which this server does not know or takes amiss. */
  async #insteadOfCondition(name: string, reason: unknown, signal: AbortSignal | undefined): Promise<void> {
    const { trouble, word } = readS3Failure(reason);
    if (trouble === "condition" && word.startsWith("Precondition") && (await this.#isDeleted(name, signal))) return;
    if (!word.startsWith("NotImplemented")) throw reason;
    if ((await this.head(name, signal)) === undefined) return;
    throw Object.assign(new Error("An object is there"), { name: "PreconditionFailed" });
  }

  /** Whether an object is gone and its earlier versions are there: to some servers that is not nothing. */
  async #isDeleted(name: string, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await this.#client.send(new s3.GetObjectCommand({ ...this.#at(name), Range: "bytes=0-0" }), within(signal));
      return false;
    } catch (reason) {
      const { $response } = reason as { $response?: { headers?: Record<string, string> } };
      return $response?.headers?.["x-amz-delete-marker"] === "true";
    }
  }

  #proofOf(body: Uint8Array, crc32: number): { ChecksumCRC32: string } | { ContentMD5: string } {
    if (this.#hasChecksums) return { ChecksumCRC32: encodeCrc32(crc32) };
    return { ContentMD5: md5Of(body).toString("base64") };
  }

  #at(name: string): { readonly Bucket: string; readonly Key: string } {
    const { bucket, key } = this.#place;
    return { Bucket: bucket, Key: `${key}/${name}` };
  }
}

function md5Of(body: Uint8Array): Buffer {
  return createHash("md5").update(body).digest();
}
