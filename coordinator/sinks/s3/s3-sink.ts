import type { S3ClientOptions } from "../../../shared/remote/s3/client.js";
import type { Sink } from "../sink.js";
import { S3Folder } from "./bucket.js";
import { S3Delivery } from "./delivery.js";
import { inspectFolder } from "./existing.js";
import { outputError } from "./output-error.js";
import { outputPlace } from "./place.js";

export interface S3SinkOptions extends S3ClientOptions {
  /** Bytes of a part, at least 5 MiB. @default by each file's size */
  readonly partBytes?: number | undefined;
}

/**
 * Outputs in buckets, `s3://bucket/prefix`. Nothing is to be seen of a file before its upload is completed, and `amalgam.json`
 * is written last: where it is, the output is whole.
 */
export function createS3Sink(name: string, options: S3SinkOptions = {}): Sink {
  const { url, ...place } = outputPlace(name);
  return {
    url,
    isComplete: async (plan, { overwrite, signal }) => {
      const folder = new S3Folder(place, options);
      try {
        return (await inspectFolder(folder, url, plan, { overwrite, signal })).isComplete;
      } catch (reason) {
        throw outputError(reason, url, signal);
      } finally {
        folder.close();
      }
    },
    open: (staging, sinkOptions) =>
      S3Delivery.open({
        folder: new S3Folder(place, options),
        url,
        staging,
        options: sinkOptions,
        partBytes: options.partBytes,
      }),
  };
}
