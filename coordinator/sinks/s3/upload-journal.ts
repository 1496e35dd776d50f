import { constants } from "node:fs";
import { rename } from "node:fs/promises";
import { hasErrno, openOwn, syncDirectory, writeDurably, writeError } from "../../assemble/durable.js";
import { type JournalFile, openJournalFile } from "../../assemble/journal-file.js";
import { entriesOf, readStaging, type StagingPaths } from "../../assemble/staging-paths.js";
import {
  applyUploadRecord,
  type FileRecord,
  formatUploadRecord,
  parseUploadRecords,
  recordsOf,
  type UploadRecord,
  uploadsVersion,
} from "./upload-records.js";

/** What earlier processes sent, as they recorded it. */
export interface UploadHistory {
  readonly url: string;
  /** The plan's digest. */
  readonly plan: string;
  readonly files: Map<string, FileRecord>;
}

/** The latest journal of uploads in a staging directory, as far as it can be trusted. */
export async function readUploads(root: string): Promise<UploadHistory | undefined> {
  const [latest] = entriesOf(await readStaging(root), "uploads");
  return latest === undefined ? undefined : read(latest.path);
}

/** All of them, the latest first. One that was taken over from may know of uploads that began too late to be told. */
export async function readAllUploads(root: string): Promise<readonly UploadHistory[]> {
  const all = await Promise.all(entriesOf(await readStaging(root), "uploads").map(({ path }) => read(path)));
  return all.filter((history) => history !== undefined);
}

async function read(path: string): Promise<UploadHistory | undefined> {
  let text: string;
  try {
    // Some 100 bytes a part; a terabyte in parts of 16 MiB has 65,536.
    await using handle = await openOwn(path, constants.O_RDONLY | constants.O_NONBLOCK);
    text = await handle.readFile("utf8");
  } catch (error) {
    // Its owner removed it, or made another of it, as we looked.
    if (hasErrno(error, "ENOENT")) return undefined;
    throw writeError(error, "read", path);
  }
  const [first, ...records] = parseUploadRecords(text);
  if (first?.type !== "uploads") return undefined;
  const files = new Map<string, FileRecord>();
  for (const record of records) applyUploadRecord(files, record);
  return { url: first.url, plan: first.plan, files };
}

/**
 * The record of what was sent, beside the staged files, so that whoever goes on knows of every upload that costs money.
 * What `append()` was given has reached the disk when it resolves.
 */
export class UploadJournal implements AsyncDisposable {
  readonly #path: string;
  readonly #file: JournalFile;
  readonly #files: Map<string, FileRecord>;
  #last: Promise<void> = Promise.resolve();

  private constructor(path: string, file: JournalFile, files: Map<string, FileRecord>) {
    this.#path = path;
    this.#file = file;
    this.#files = files;
  }

  /** Begins the journal of this generation with what an earlier one says. */
  static async open(paths: StagingPaths, history: UploadHistory): Promise<UploadJournal> {
    const { url, plan, files } = history;
    const records: readonly UploadRecord[] = [
      { type: "uploads", version: uploadsVersion, url, plan },
      ...recordsOf(files),
    ];
    const text = records.map(formatUploadRecord).join("");
    const unfinished = `${paths.uploads}.new`;
    try {
      await writeDurably(unfinished, text);
      await rename(unfinished, paths.uploads);
      await syncDirectory(paths.root);
    } catch (error) {
      throw writeError(error, "write", paths.uploads);
    }
    return new UploadJournal(paths.uploads, await openJournalFile(paths.uploads, Buffer.byteLength(text)), files);
  }

  /** What is on record, by file. A live view. */
  get files(): ReadonlyMap<string, FileRecord> {
    return this.#files;
  }

  append(record: UploadRecord): Promise<void> {
    this.#last = this.#last.then(async () => {
      try {
        await this.#file.append(Buffer.from(formatUploadRecord(record)));
        await this.#file.sync();
      } catch (error) {
        throw writeError(error, "write", this.#path);
      }
      applyUploadRecord(this.#files, record);
    });
    return this.#last;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last.catch(() => undefined);
    await this.#file.close();
  }
}
