import { createHash } from "node:crypto";
import { lengthBytes, maxHeaderBytes } from "../../shared/checkpoint/header-limits.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { RemoteFile, RemoteStore } from "../../shared/remote/remote-store.js";

/** Files that are remembered as checked: some jobs' worth. */
const maxRemembered = 10_000;

/**
 * Whether files on servers that have no names for their states are the planned ones: their headers are compared, once for
 * each job. An edit that leaves size and header as they are goes unnoticed, as it would on such a server.
 */
export class HeaderChecks {
  readonly #checked = new Map<string, Promise<void>>();

  /** Fails with `checkpoint_changed`. `headerSha256`: of the header, its length included; empty: not known. */
  async assertPlanned(
    store: RemoteStore,
    file: RemoteFile,
    headerSha256: Uint8Array,
    job: string,
    signal: AbortSignal,
  ): Promise<void> {
    if (file.version !== undefined || headerSha256.length === 0) return;
    const planned = Buffer.from(headerSha256).toString("hex");
    const key = [job, file.url, file.bytes, planned].join("\n");
    for (let known = this.#checked.get(key); known !== undefined; known = this.#checked.get(key)) {
      const error = await known.then(
        () => undefined,
        (reason: unknown) => AmalgamError.from(reason),
      );
      if (error === undefined) return;
      // The unit that compared is over, and this one is not.
      if (signal.aborted || error.code !== "canceled") throw error;
    }
    const check = compare(store, file, planned, signal);
    this.#checked.set(key, check);
    if (this.#checked.size > maxRemembered) this.#checked.delete(this.#checked.keys().next().value ?? key);
    // A server that fails now may be well again; a unit that is over has found out nothing.
    check.catch(() => this.#checked.delete(key));
    await check;
  }
}

async function compare(store: RemoteStore, file: RemoteFile, planned: string, signal: AbortSignal): Promise<void> {
  const hash = createHash("sha256");
  const prefix = Buffer.alloc(lengthBytes);
  let done = 0;
  const take = (bytes: Uint8Array): void => {
    if (done < lengthBytes) prefix.set(bytes.subarray(0, lengthBytes - done), done);
    done += bytes.length;
    hash.update(bytes);
  };
  await store.read(file, { offset: 0, length: Math.min(lengthBytes, file.bytes) }, take, signal);
  const length = Number(prefix.readBigUInt64LE());
  const end = lengthBytes + length;
  if (done === lengthBytes && length <= maxHeaderBytes && end <= file.bytes) {
    await store.read(file, { offset: lengthBytes, length }, take, signal);
    if (hash.digest("hex") === planned) return;
  }
  throw new AmalgamError(
    "checkpoint_changed",
    `Cannot merge from ${quote(file.url)}: its header changed after planning; plan again`,
    { details: { file: file.url } },
  );
}
