import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { readS3Failure } from "../../../shared/remote/s3/failure.js";
import type { S3Folder } from "./bucket.js";
import { endUpload } from "./end-uploads.js";
import type { StoredObject } from "./objects.js";
import { refusedOutput } from "./output-error.js";
import { choosePartBytes } from "./parts.js";
import { assertSent, type OpenUpload, sendParts, type WholeFile } from "./send-parts.js";
import type { UploadJournal } from "./upload-journal.js";
import type { SentPart } from "./upload-records.js";

/** Uploads of one file that may be lost before it is given up. */
const maxBegins = 3;
/** Times that the bytes of one file may be read otherwise than they were merged, before the disk is at fault. */
const maxReads = 2;

export interface FileUploadsOptions {
  readonly url: string;
  /** The plan's digest. */
  readonly plan: string;
  /** Bytes of a part, at least 5 MiB. @default by the file's size, see {@link choosePartBytes} */
  readonly partBytes?: number | undefined;
  /** Fails when another process took the work over. */
  readonly assertHeld: () => Promise<void>;
  /** Called at every step that a crash could fall between; tests crash there. */
  readonly step: (name: string) => void | Promise<void>;
  /** Called whenever the server has more or less of the files than before. */
  readonly onSent: () => void;
}

/** Sends files by multipart uploads, which a crash interrupts and the next process goes on with. */
export class FileUploads {
  readonly #folder: S3Folder;
  readonly #journal: UploadJournal;
  readonly #options: FileUploadsOptions;
  /** Those whose parts we have seen with our own eyes, in this process. */
  readonly #open = new Map<string, OpenUpload>();
  /** Bytes that the server has, by file. */
  readonly #sent = new Map<string, number>();

  constructor(folder: S3Folder, journal: UploadJournal, options: FileUploadsOptions) {
    this.#folder = folder;
    this.#journal = journal;
    this.#options = options;
  }

  /** Bytes that the server has of the files that were asked for. */
  get sentBytes(): number {
    return [...this.#sent.values()].reduce((total, bytes) => total + bytes, 0);
  }

  /**
   * Sends what is missing of a file. Fails with `chunk_corrupt` when its bytes are not those that were merged. It is not to
   * be seen before {@link complete}.
   */
  async send(file: WholeFile, signal?: AbortSignal): Promise<void> {
    const { assertHeld, step } = this.#options;
    const onPart = (bytes: number): void => this.#tell(file.name, (this.#sent.get(file.name) ?? 0) + bytes);
    for (let begins = 1; ; begins += 1) {
      if (this.#journal.files.get(file.name)?.state === "completed") return this.#tell(file.name, file.bytes);
      const open = (await this.#resume(file, signal)) ?? (await this.#begin(file, signal));
      if (open === "completed") return;
      try {
        await sendParts(this.#folder, this.#journal, file, open, { assertOurs: assertHeld, step, onPart, signal });
        assertSent(file, open);
        return;
      } catch (reason) {
        const isLost = readS3Failure(reason).trouble === "no_upload" || this.#folder.doWithout(reason);
        const isOther = reason instanceof AmalgamError && reason.code === "chunk_corrupt";
        if (isLost || isOther) await this.end(file.name, signal);
        if (begins === (isOther ? maxReads : maxBegins) || !(isLost || isOther)) throw reason;
      }
    }
  }

  /**
   * Makes a file an object, once, whoever else tries to and whatever becomes of the answer, and returns the object's ETag.
   */
  async complete(file: WholeFile, assertOurs: () => Promise<void>, signal?: AbortSignal): Promise<string> {
    const { name, crc32 } = file;
    for (let begins = 1; ; begins += 1) {
      await this.send(file, signal);
      const open = this.#open.get(name);
      let failure: unknown;
      if (open !== undefined) {
        await assertOurs();
        const parts = [...open.sent.values()].sort((a, b) => a.part - b.part);
        failure = await this.#folder.complete(name, open.upload, { parts, crc32 }, signal).then(
          () => undefined,
          (reason: unknown) => reason ?? new Error("no answer"),
        );
        signal?.throwIfAborted();
      }
      // Whatever the answer was, or if none came: what is there decides.
      const found = await this.#folder.head(name, signal).catch((reason: unknown) => {
        // An answer to this has no body, and so not even a name for what is wrong.
        throw failure ?? reason;
      });
      if (found !== undefined && this.#isIt(file, found)) {
        // It may be that of another coordinator, and ours would stay and cost money.
        if (open !== undefined && failure !== undefined) await this.#folder.abort(name, open.upload, signal);
        await this.#record(file);
        return found.etag;
      }
      this.#open.delete(name);
      if (found !== undefined)
        throw failure === undefined && open !== undefined ? this.#wrong(name) : this.#taken(name);
      if (begins === maxBegins || !this.#isWorthAnotherTry(failure)) throw failure ?? this.#wrong(name);
      await this.#startOver(name, failure, signal);
    }
  }

  /** Takes back what was sent of a file and is no object. */
  async end(name: string, signal?: AbortSignal): Promise<void> {
    const record = this.#journal.files.get(name);
    this.#open.delete(name);
    this.#tell(name, 0);
    if (record === undefined || record.state === "completed") return;
    await endUpload(this.#folder, name, record, signal);
    await this.#journal.append({ type: "ended", file: name });
  }

  #isWorthAnotherTry(failure: unknown): boolean {
    if (failure === undefined) return true;
    return ["parts", "condition", "no_upload", "corrupt"].includes(readS3Failure(failure).trouble);
  }

  /** After a try to complete that left no object. */
  async #startOver(name: string, failure: unknown, signal: AbortSignal | undefined): Promise<void> {
    const { trouble } = readS3Failure(failure);
    // Parts are looked at again, and so is what stood in the way and is gone; anything else begins anew.
    if (trouble === "parts" || trouble === "condition") return;
    if (this.#journal.files.get(name)?.state === "completed") await this.#journal.append({ type: "ended", file: name });
    else await this.end(name, signal);
  }

  /** What an earlier process began, as far as the server still has it. */
  async #resume(file: WholeFile, signal: AbortSignal | undefined): Promise<OpenUpload | "completed" | undefined> {
    const { name } = file;
    const known = this.#open.get(name);
    if (known?.crc32 === file.crc32) return known;
    const record = this.#journal.files.get(name);
    if (record === undefined || record.state === "completed") return undefined;
    const isSame = record.state === "sending" && record.crc32 === file.crc32;
    const stored = isSame ? await this.#folder.parts(name, record.upload, signal) : undefined;
    if (!isSame || stored === undefined) {
      const found = isSame ? await this.#folder.head(name, signal) : undefined;
      if (found !== undefined && this.#isIt(file, found)) {
        await this.#record(file);
        return "completed";
      }
      await this.end(name, signal);
      return undefined;
    }
    const { upload, partBytes, parts } = record;
    const sent = new Map<number, SentPart>();
    for (const [number, part] of parts) {
      const there = stored.get(number);
      const isThere = there?.bytes === part.bytes && there.etag === part.etag;
      if (isThere && (there.crc32 ?? part.crc32) === part.crc32) sent.set(number, part);
    }
    this.#tell(
      name,
      [...sent.values()].reduce((total, { bytes }) => total + bytes, 0),
    );
    const open = { upload, partBytes, crc32: file.crc32, sent };
    this.#open.set(name, open);
    return open;
  }

  async #begin({ name, bytes, crc32 }: WholeFile, signal: AbortSignal | undefined): Promise<OpenUpload> {
    const { plan, partBytes = choosePartBytes(bytes), assertHeld } = this.#options;
    await assertHeld();
    await this.#journal.append({ type: "creating", file: name, at: new Date().toISOString() });
    const upload = await this.#folder.create(name, { plan, crc32 }, signal);
    await this.#options.step("upload-created");
    await assertHeld().catch(async (reason: unknown) => {
      // Whoever took over does not know of it.
      await this.#folder.abort(name, upload).catch(() => undefined);
      throw reason;
    });
    await this.#journal.append({ type: "created", file: name, upload, partBytes, crc32 });
    const open = { upload, partBytes, crc32, sent: new Map() };
    this.#open.set(name, open);
    return open;
  }

  #isIt({ bytes, crc32 }: WholeFile, found: StoredObject): boolean {
    if (found.bytes !== bytes) return false;
    // What the server computed of the bytes that it has; where it computes nothing, what was written beside them.
    if (found.crc32 !== undefined) return found.crc32 === crc32;
    return found.plan === this.#options.plan && found.expectedCrc32 === crc32;
  }

  #tell(name: string, bytes: number): void {
    this.#sent.set(name, bytes);
    this.#options.onSent();
  }

  async #record({ name, bytes }: WholeFile): Promise<void> {
    this.#open.delete(name);
    this.#tell(name, bytes);
    await this.#journal.append({ type: "completed", file: name });
  }

  #wrong(name: string): AmalgamError {
    const problem = "the server says that it has put it together, and has not got it";
    return new AmalgamError("io_failed", `Cannot write ${quote(name)} to ${quote(this.#options.url)}: ${problem}`);
  }

  #taken(name: string): AmalgamError {
    return refusedOutput(this.#options.url, `another process put ${quote(name)} there meanwhile`);
  }
}
