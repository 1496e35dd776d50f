import { ListObjectsV2Command, type S3Client, type _Object as S3Object } from "@aws-sdk/client-s3";
import { ByteGate } from "../../checkpoint/byte-gate.js";
import { type Clock, systemClock } from "../../clock.js";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import type { RemoteFile, RemoteModel, RemoteOptions, RemoteStore } from "../remote-store.js";
import { fileUrl } from "../url.js";
import { createS3Client, type S3ClientOptions } from "./client.js";
import { placeOf, type S3Place, sourceError, within } from "./place.js";
import { RangeRead } from "./range-read.js";

const defaultInFlightBytes = 64 << 20;
/** Names per page are at most 1,000. A model has some hundred files. */
const maxPages = 10;
const longestKey = 1_024;

export interface S3StoreOptions extends RemoteOptions, Pick<S3ClientOptions, "idleMs"> {
  /** @default the system's */
  readonly clock?: Clock;
}

/**
 * Models in buckets. A file's version is its ETag, and every read is conditional on it. Endpoint, region and credentials
 * are found as AWS's own tools find them, see {@link createS3Client}.
 */
export function createS3Store(options: S3StoreOptions = {}): RemoteStore {
  const { clock = systemClock } = options;
  const gate = new ByteGate(options.maxInFlightBytes ?? defaultInFlightBytes);
  let connected: S3Client | undefined;
  const connect = (): S3Client => {
    connected ??= createS3Client(options);
    return connected;
  };
  return {
    find: (url, signal) => findModel(connect(), url, signal),
    read: (file, range, deliver, signal) =>
      gate.hold(range.length, () => new RangeRead(connect(), file, clock, signal).run(range, deliver)),
    close: async () => connected?.destroy(),
  };
}

async function findModel(client: S3Client, name: string, signal: AbortSignal | undefined): Promise<RemoteModel> {
  const { url, bucket, key } = placeOf(name);
  const isFile = key.endsWith(".safetensors");
  const folder = isFile ? key.slice(0, key.lastIndexOf("/") + 1) : key === "" ? "" : `${key}/`;
  const listed = await listFolder(client, { bucket, key: folder }, url, signal);
  const files = new Map<string, RemoteFile>();
  const folderUrl = isFile ? url.slice(0, url.lastIndexOf("/")) : url;
  for (const { Key: found = "", Size: bytes, ETag: version } of listed) {
    const file = found.slice(folder.length);
    const isWanted = isFile && file.endsWith(".safetensors") ? found === key : isPlain(file);
    if (isWanted && bytes !== undefined) files.set(file, { url: fileUrl(folderUrl, file), bytes, version });
  }
  const isThere = isFile ? files.has(key.slice(folder.length)) : files.size > 0;
  if (isThere) return { url, files };
  const what = isFile ? "there is no such object" : "there is nothing below it";
  throw new AmalgamError("source_refused", `Cannot read ${quote(url)}: ${what}`, { details: { url } });
}

async function listFolder(
  client: S3Client,
  { bucket: Bucket, key: Prefix }: S3Place,
  url: string,
  signal: AbortSignal | undefined,
): Promise<readonly S3Object[]> {
  const found: S3Object[] = [];
  let ContinuationToken: string | undefined;
  for (let page = 0; page < maxPages; page += 1) {
    const command = new ListObjectsV2Command({ Bucket, Prefix, Delimiter: "/", ContinuationToken });
    const answer = await client.send(command, within(signal)).catch((reason: unknown) => {
      throw sourceError(reason, url, signal);
    });
    found.push(...(answer.Contents ?? []));
    ContinuationToken = answer.NextContinuationToken;
    if (answer.IsTruncated !== true || ContinuationToken === undefined) return found;
  }
  const problem = `it has more than ${maxPages * 1_000} objects, name the model's own folder`;
  throw new AmalgamError("source_refused", `Cannot read ${quote(url)}: ${problem}`, { details: { url } });
}

/** A name that can stand in a folder here. */
function isPlain(name: string): boolean {
  return name !== "" && name.length <= longestKey && !/^\.{1,2}$|[/\\\p{C}]/u.test(name);
}
