import { setImmediate } from "node:timers";
import { toSafeNumber } from "../../shared/bytes.js";
import { AmalgamError } from "../../shared/errors.js";
import type { SourceFile } from "../../shared/gen/amalgam/v1/agent_pb.js";
import type { RemoteFile, RemoteStore } from "../../shared/remote/remote-store.js";
import { coalesce, type Request } from "./coalesce.js";
import { HeaderChecks } from "./header-checks.js";

/** A range of a file on a server. */
export interface ServerRange {
  readonly file: Pick<SourceFile, "path" | "bytes" | "version" | "headerSha256">;
  readonly offset: number;
  readonly length: number;
  /** The job that wants it: what has been checked for one is checked anew for the next. */
  readonly job: string;
}

interface Waiting extends ServerRange {
  readonly deliver: (bytes: Uint8Array) => void;
  readonly settle: (error?: AmalgamError) => void;
}

/** Waiting ranges of one file for one unit. */
interface Batch {
  readonly signal: AbortSignal;
  readonly ranges: Waiting[];
}

/** Reads from servers, for all workers. Lives in the main thread. Ranges that are asked for at once become one request. */
export class ServerFiles {
  readonly #openStore: () => Promise<RemoteStore>;
  readonly #checks = new HeaderChecks();
  /** By unit, which is known by its signal, and by URL. */
  readonly #batches = new Map<AbortSignal, Map<string, Batch>>();
  #store: Promise<RemoteStore> | undefined;

  /** `openStore` is called when the first range is wanted. */
  constructor(openStore: () => Promise<RemoteStore>) {
    this.#openStore = openStore;
  }

  /**
   * Hands the range to `deliver` in order. Fails as {@link RemoteStore.read} does, with `checkpoint_changed` also where a
   * server that has no versions sends another header than the planned one, and with the signal's reason.
   */
  fetch(range: ServerRange, deliver: (bytes: Uint8Array) => void, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(AmalgamError.from(signal.reason));
      const settle = (error?: AmalgamError): void => {
        if (error === undefined) resolve();
        else reject(error);
      };
      const { path } = range.file;
      const batches = this.#batches.get(signal) ?? new Map<string, Batch>();
      const batch = batches.get(path) ?? { signal, ranges: [] };
      batch.ranges.push({ ...range, deliver, settle });
      this.#batches.set(signal, batches.set(path, batch));
      // A worker asks for all that it wants ahead in one go: its messages are here by then.
      if (batches.size === 1 && batch.ranges.length === 1) setImmediate(() => this.#send(signal));
    });
  }

  async close(): Promise<void> {
    await (await this.#store?.catch(() => undefined))?.close();
  }

  #send(signal: AbortSignal): void {
    const batches = this.#batches.get(signal);
    this.#batches.delete(signal);
    for (const { ranges } of batches?.values() ?? []) {
      for (const request of coalesce(ranges)) void this.#read(request, signal);
    }
  }

  /** Never fails: those who wait are told. */
  async #read({ wanted, offset, length }: Request<Waiting>, signal: AbortSignal): Promise<void> {
    const [first] = wanted;
    if (first === undefined) return;
    let at = offset;
    let next = 0;
    try {
      this.#store ??= this.#openStore();
      const store = await this.#store;
      const file = remoteFile(first.file);
      await this.#checks.assertPlanned(store, file, first.file.headerSha256, first.job, signal);
      const deliver = (bytes: Uint8Array): void => {
        // Nobody may write into the window of a unit that is over.
        signal.throwIfAborted();
        for (const range of wanted.slice(next)) {
          const part = bytes.subarray(Math.max(0, range.offset - at), Math.max(0, range.offset + range.length - at));
          if (part.length > 0) range.deliver(part);
        }
        at += bytes.length;
        for (let range = wanted[next]; range !== undefined; range = wanted[next]) {
          if (at < range.offset + range.length) break;
          range.settle();
          next += 1;
        }
      };
      await store.read(file, { offset, length }, deliver, signal);
      if (at !== offset + length)
        throw new AmalgamError("internal", `${at - offset} of ${length} bytes were delivered`);
    } catch (reason) {
      const error = AmalgamError.from(signal.aborted ? signal.reason : reason);
      for (const { settle } of wanted.slice(next)) settle(error);
    }
  }
}

function remoteFile({ path, bytes, version }: ServerRange["file"]): RemoteFile {
  return { url: path, bytes: toSafeNumber(bytes), version: version === "" ? undefined : version };
}
