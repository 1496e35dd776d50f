import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { crc32 as crc32Of } from "node:zlib";
import { mapBounded } from "../../../shared/checkpoint/bounded.js";
import { indexFileName } from "../../../shared/checkpoint/index-json.js";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { readS3Failure } from "../../../shared/remote/s3/failure.js";
import { combineCrc32 } from "../../../shared/rpc/crc32.js";
import { manifestName } from "../../assemble/manifest.js";
import type { Pieces } from "../../assemble/pieces.js";
import type { Staging } from "../../assemble/staging.js";
import { removePredecessors } from "../../assemble/take-over.js";
import type { Plan } from "../../plan/types.js";
import type { Delivery, PublishOptions, SinkOptions } from "../sink.js";
import type { S3Folder } from "./bucket.js";
import { endRecordedUploads } from "./end-uploads.js";
import { inspectFolder } from "./existing.js";
import { FileUploads } from "./file-upload.js";
import type { ListedObject } from "./objects.js";
import { outputError, refusedOutput } from "./output-error.js";
import type { WholeFile } from "./send-parts.js";
import { readUploads, UploadJournal } from "./upload-journal.js";

/** Small requests under way at once. */
const concurrency = 4;
/** What makes a folder look like a model, in the order in which it is written. The manifest says that it is one. */
const lastNames = [indexFileName, "config.json", manifestName];

export interface DeliveryParts {
  readonly folder: S3Folder;
  readonly url: string;
  readonly staging: Staging;
  readonly options: SinkOptions;
  readonly partBytes: number | undefined;
}

/** An output on its way into a bucket: files are sent as they become whole, and shown when all are. */
export class S3Delivery implements Delivery {
  readonly url: string;
  readonly #parts: DeliveryParts;
  readonly #journal: UploadJournal;
  readonly #uploads: FileUploads;
  readonly #stop = new AbortController();
  /** Files are sent one after the other, each over several connections. */
  #sending: Promise<void> = Promise.resolve();
  #onSent: () => void = () => undefined;
  #isClosed = false;

  private constructor(parts: DeliveryParts, journal: UploadJournal) {
    const { folder, url, staging, partBytes } = parts;
    this.url = url;
    this.#parts = parts;
    this.#journal = journal;
    const { plan, step, lock } = staging.parts;
    const assertHeld = (): Promise<void> => lock.assertHeld();
    const onSent = (): void => this.#onSent();
    this.#uploads = new FileUploads(folder, journal, { url, plan: plan.digest, partBytes, assertHeld, step, onSent });
  }

  /** Goes on from what is on record. Where nothing is, an upload is begun and ended, to see whether we may. */
  static async open(parts: DeliveryParts): Promise<S3Delivery> {
    const { staging, url } = parts;
    const { layout, lock, plan } = staging.parts;
    let history = await readUploads(layout.root);
    if (history !== undefined && (history.url !== url || history.plan !== plan.digest)) {
      await endRecordedUploads(layout.root);
      history = undefined;
    }
    const isNew = history === undefined || history.files.size === 0;
    const journal = await UploadJournal.open(layout, history ?? { url, plan: plan.digest, files: new Map() });
    await removePredecessors(lock, "uploads", "unfinished-uploads");
    const delivery = new S3Delivery(parts, journal);
    try {
      if (isNew) await delivery.#tryOut();
    } catch (reason) {
      await delivery[Symbol.asyncDispose]();
      // Nothing was sent, and with the record gone nobody need reach the server to go on without it.
      await rm(layout.uploads, { force: true });
      throw outputError(reason, url, parts.options.signal);
    }
    staging.whenWhole((file) => delivery.#sendAhead(file));
    return delivery;
  }

  async publish(options: PublishOptions): Promise<void> {
    try {
      await this.#publish(options);
    } catch (reason) {
      if (reason instanceof AmalgamError && reason.code === "chunk_corrupt") await this.#distrust(reason);
      throw outputError(reason, this.url, options.signal);
    } finally {
      this.#onSent = () => undefined;
    }
  }

  async abandon(): Promise<void> {
    await this.#stopSending();
    try {
      for (const name of [...this.#journal.files.keys()]) await this.#uploads.end(name);
    } catch (reason) {
      throw outputError(reason, this.url);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#stopSending();
    await this.#journal[Symbol.asyncDispose]();
    this.#parts.folder.close();
  }

  async #tryOut(): Promise<void> {
    const { folder, staging, options } = this.#parts;
    const marks = { plan: staging.parts.plan.digest, crc32: 0 };
    await this.#journal.append({ type: "creating", file: manifestName, at: new Date().toISOString() });
    const upload = await folder.create(manifestName, marks, options.signal);
    await folder.abort(manifestName, upload, options.signal);
    await this.#journal.append({ type: "ended", file: manifestName });
  }

  /** What fails here is tried again when the output is published, and told then: the merge itself goes on. */
  #sendAhead(file: number): void {
    const signal = this.#signal(this.#parts.options.signal);
    this.#sending = this.#sending
      .then(async () => {
        signal.throwIfAborted();
        // Pieces of it may have been taken back since.
        if (!this.#parts.staging.parts.pieces.isFileWhole(file)) return;
        await this.#uploads.send(this.#fileOf(file), signal);
      })
      .catch(() => undefined);
  }

  async #stopSending(): Promise<void> {
    this.#stop.abort();
    await this.#sending;
  }

  /** What was sent is not what was merged, so what is staged is not either. */
  async #distrust({ details }: AmalgamError): Promise<void> {
    const { staging } = this.#parts;
    const file = staging.parts.plan.files.findIndex(({ name }) => name === details["file"]);
    if (file !== -1) await staging.distrust(file);
  }

  async #publish({ assertOurs, onSent, signal }: PublishOptions): Promise<void> {
    const { folder, staging } = this.#parts;
    const { plan, layout, step } = staging.parts;
    const files = plan.files.map((_, file) => this.#fileOf(file));
    const bytes = files.reduce((total, file) => total + file.bytes, 0);
    this.#onSent = () => onSent?.(this.#uploads.sentBytes, bytes);
    await this.#sending;
    for (const file of files) await this.#uploads.send(file, signal);
    await step("sent");
    const companions = await companionsIn(layout.files, plan);
    await this.#makeRoom(files, companions, assertOurs, signal);
    const etags = new Map<string, string>();
    await mapBounded(files, concurrency, async (file) => {
      signal?.throwIfAborted();
      etags.set(file.name, await this.#uploads.complete(file, assertOurs, signal));
      await step("completed");
    });
    for (const name of companions) {
      signal?.throwIfAborted();
      if (name === manifestName) this.#assertUnchanged(etags, await folder.list(signal));
      await assertOurs();
      etags.set(name, await this.#put(name, await readFile(join(layout.files, name)), signal));
      await step("put");
    }
  }

  /** Removes what is there of ours and not part of this output. */
  async #makeRoom(
    files: readonly WholeFile[],
    companions: readonly string[],
    assertOurs: () => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { folder, staging, options } = this.#parts;
    const { plan, layout } = staging.parts;
    const wanted = new Map(files.map(({ name, crc32 }) => [name, crc32]));
    for (const name of companions) wanted.set(name, crc32Of(await readFile(join(layout.files, name))));
    const isBegun = [...this.#journal.files.values()].some(({ state }) => state === "completed");
    const { isComplete, stale } = await inspectFolder(folder, this.url, plan, { ...options, wanted, isBegun, signal });
    if (isComplete) throw refusedOutput(this.url, "another process completed it");
    // Without its manifest it is no output any more, whatever becomes of us.
    const isManifest = (name: string): number => Number(name === manifestName);
    for (const [name, { etag }] of [...stale].toSorted(([a], [b]) => isManifest(b) - isManifest(a))) {
      signal?.throwIfAborted();
      await assertOurs();
      await folder.remove(name, etag, signal);
    }
  }

  /** Another coordinator that replaces the same output, from another staging directory, may have removed files of ours. */
  #assertUnchanged(etags: ReadonlyMap<string, string>, listed: ReadonlyMap<string, ListedObject>): void {
    for (const [name, etag] of etags) {
      if (bare(listed.get(name)?.etag) === bare(etag)) continue;
      throw refusedOutput(this.url, `another process replaced ${quote(name)} meanwhile`);
    }
  }

  /** Writes a small file where there is none and returns its ETag. The same one that is there already is as good. */
  async #put(name: string, body: Buffer, signal: AbortSignal | undefined): Promise<string> {
    const { folder, staging } = this.#parts;
    const marks = { plan: staging.parts.plan.digest, crc32: crc32Of(body) };
    try {
      return await folder.put(name, body, marks, signal);
    } catch (reason) {
      if (folder.doWithout(reason)) return this.#put(name, body, signal);
      signal?.throwIfAborted();
      const found = await folder.head(name, signal).catch(() => {
        throw reason;
      });
      const isIt = found?.bytes === body.length && (found.crc32 ?? found.expectedCrc32) === marks.crc32;
      if (isIt) return found.etag;
      if (found === undefined || readS3Failure(reason).trouble !== "condition") throw reason;
      throw refusedOutput(this.url, `another process put ${quote(name)} there meanwhile`);
    }
  }

  #fileOf(file: number): WholeFile {
    const { plan, files, pieces } = this.#parts.staging.parts;
    const { name = "", bytes = 0 } = plan.files[file] ?? {};
    return { name, bytes, path: files.paths[file] ?? "", crc32: fileCrc32(plan, pieces, file) };
  }

  #signal(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#stop.signal : AbortSignal.any([this.#stop.signal, signal]);
  }
}

/** Not every server writes an ETag with its quotes wherever it has to. */
function bare(etag: string | undefined): string | undefined {
  return etag?.replaceAll('"', "");
}

/** The CRC-32 of a whole output file, told from its header and the receipts of its pieces. */
export function fileCrc32(plan: Plan, pieces: Pieces, file: number): number {
  let crc32 = crc32Of(plan.files[file]?.header ?? Buffer.of());
  for (const { piece } of pieces.inFile(file)) crc32 = combineCrc32(crc32, piece.crc32, piece.bytes);
  return crc32;
}

/** What lies beside the weights, what makes them a model last. */
async function companionsIn(directory: string, plan: Plan): Promise<readonly string[]> {
  const weights = new Set(plan.files.map(({ name }) => name));
  const rank = (name: string): number => lastNames.indexOf(name);
  const names = (await readdir(directory)).filter((name) => !weights.has(name));
  return names.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}
