import type { FileObserver } from "./source-files.js";
import type { WorkerMessage } from "./worker-protocol.js";

/** A progress event at least this often: small enough to show life on a slow disk, large enough to be no load. */
const progressBytes = 16 << 20;
/** And after this time, if anything was done. */
const progressMs = 2_000;
/** Well below what an agent may be silent for. */
const signMs = 10_000;

/** Adds up what a unit does and sends it on now and then. Everything here throws when the unit was canceled. */
export class ProgressMeter implements FileObserver {
  readonly #emit: (message: WorkerMessage) => void;
  readonly #assertWanted: () => void;
  #bytesRead = 0;
  #bytesWritten = 0;
  #ioMs = 0;
  /** Of these, in writes. */
  #writeMs = 0;
  #flushedAt = performance.now();

  constructor(context: { emit(message: WorkerMessage): void; assertWanted(): void }) {
    this.#emit = (message) => context.emit(message);
    this.#assertWanted = () => context.assertWanted();
  }

  read(bytes: number): void {
    this.#bytesRead += bytes;
  }

  spent(ms: number, act: "read" | "write"): void {
    this.#ioMs += ms;
    if (act === "write") this.#writeMs += ms;
  }

  /** Called after every tile. */
  wrote(bytes: number): void {
    this.#bytesWritten += bytes;
    this.lookUp();
  }

  lookUp(): void {
    this.#assertWanted();
    const isDue = performance.now() - this.#flushedAt >= progressMs;
    if (isDue || this.#bytesRead + this.#bytesWritten >= progressBytes) this.flush();
  }

  /**
   * The same while a server is waited for, which is asked again for longer than an agent may be silent: a sign of life
   * although nothing was done.
   */
  lookUpOnServer(): void {
    this.lookUp();
    if (performance.now() - this.#flushedAt >= signMs) this.#send();
  }

  flush(): void {
    if (this.#bytesRead + this.#bytesWritten > 0) this.#send();
  }

  #send(): void {
    const [bytesRead, bytesWritten] = [this.#bytesRead, this.#bytesWritten];
    const [ioSeconds, writeSeconds] = [this.#ioMs / 1000, this.#writeMs / 1000];
    [this.#bytesRead, this.#bytesWritten, this.#ioMs, this.#writeMs] = [0, 0, 0, 0];
    this.#flushedAt = performance.now();
    this.#emit({ type: "progress", bytesRead, bytesWritten, ioSeconds, writeSeconds });
  }
}
