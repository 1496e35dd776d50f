import { GetObjectCommand, type GetObjectCommandOutput, type S3Client } from "@aws-sdk/client-s3";
import { type Clock, sleep } from "../../clock.js";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import type { RemoteFile } from "../remote-store.js";
import { tellTraffic } from "../traffic.js";
import { readS3Failure } from "./failure.js";
import { placeOf, sourceError, within } from "./place.js";

/** Connections in a row that may be cut without a byte having come. */
const maxFruitless = 5;
const firstPauseMs = 200;

/** One range of one object, over as many connections as it takes. */
export class RangeRead {
  readonly #client: S3Client;
  readonly #file: RemoteFile;
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;

  constructor(client: S3Client, file: RemoteFile, clock: Clock, signal: AbortSignal | undefined) {
    this.#client = client;
    this.#file = file;
    this.#clock = clock;
    this.#signal = signal;
  }

  async run(
    { offset, length }: { readonly offset: number; readonly length: number },
    deliver: (bytes: Uint8Array) => void,
  ): Promise<void> {
    let at = offset;
    const end = offset + length;
    for (let fruitless = 0; at < end; ) {
      const before = at;
      tellTraffic(this.#file.url, fruitless === 0 && at === offset ? "request" : "retry");
      const cut = await this.#readOnce(at, end, (bytes) => {
        at += bytes.length;
        deliver(bytes);
      });
      if (at === end) return;
      fruitless = at > before ? 0 : fruitless + 1;
      if (fruitless === maxFruitless) throw this.#failed(`the connection was cut ${fruitless} times (${cut})`);
      await sleep(this.#clock, firstPauseMs * 2 ** fruitless, this.#signal);
      this.#signal?.throwIfAborted();
    }
  }

  /** Reads on until the end or until the connection is cut, and then says by what. */
  async #readOnce(at: number, end: number, take: (bytes: Uint8Array) => void): Promise<string> {
    const { Body } = await this.#request(at, end);
    let left = end - at;
    const body = Body as AsyncIterable<Uint8Array>;
    let taken: unknown;
    try {
      for await (const bytes of body) {
        if (bytes.length > left) throw this.#failed(`it sent more than the ${end - at} bytes that it was asked for`);
        left -= bytes.length;
        try {
          take(bytes);
        } catch (reason) {
          taken = reason;
          throw reason;
        }
      }
    } catch (reason) {
      this.#signal?.throwIfAborted();
      if (reason === taken || reason instanceof AmalgamError) throw reason;
      return readS3Failure(reason).word;
    }
    return "it ended early";
  }

  async #request(at: number, end: number): Promise<GetObjectCommandOutput> {
    const { url, bytes, version } = this.#file;
    const { bucket: Bucket, key: Key } = placeOf(url);
    const Range = `bytes=${at}-${end - 1}`;
    const command = new GetObjectCommand({ Bucket, Key, Range, ...(version && { IfMatch: version }) });
    const answer = await this.#client.send(command, within(this.#signal)).catch((reason: unknown) => {
      const { trouble, word } = readS3Failure(reason);
      if (trouble === "condition" || word === "InvalidRange (416)") throw this.#changed("it has another ETag or size");
      throw sourceError(reason, url, this.#signal);
    });
    const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.ContentRange ?? "") ?? [];
    const problem = this.#problemOf(answer, { isAsked: Number(first) === at && Number(last) === end - 1 });
    if (problem !== undefined) {
      abandonBody(answer);
      throw Number(total ?? bytes) === bytes && answer.ETag === version
        ? this.#failed(problem)
        : this.#changed(problem);
    }
    return answer;
  }

  #problemOf({ ContentRange, ETag }: GetObjectCommandOutput, { isAsked }: { isAsked: boolean }): string | undefined {
    const { bytes, version } = this.#file;
    if (ContentRange === undefined) return "the server ignores ranges";
    if (!ContentRange.endsWith(`/${bytes}`)) return `its size is no longer ${bytes} bytes`;
    if (!isAsked) return `the server sent another range than it was asked for (${quote(ContentRange)})`;
    return version === undefined || ETag === version ? undefined : "it has another ETag";
  }

  #changed(problem: string): AmalgamError {
    const { url } = this.#file;
    const message = `Cannot read ${quote(url)}: it was changed since it was planned with (${problem}), plan again`;
    return new AmalgamError("checkpoint_changed", message, { details: { url } });
  }

  #failed(problem: string): AmalgamError {
    const { url } = this.#file;
    return new AmalgamError("source_failed", `Cannot read ${quote(url)}: ${problem}`, { details: { url } });
  }
}

function abandonBody({ Body }: GetObjectCommandOutput): void {
  (Body as { destroy?: () => void } | undefined)?.destroy?.();
}
