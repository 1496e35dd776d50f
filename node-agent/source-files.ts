import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { AmalgamError } from "../shared/errors.js";
import { quote } from "../shared/quote.js";

/** What a source file looked like when the plan was made. */
export interface ExpectedFile {
  readonly path: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

/**
 * A unit's open files. Sources are opened when first read, after a check that they still are what was planned; all are
 * closed at the end of the unit, so a file replaced during a job is noticed by the next one.
 */
export class UnitFiles implements Disposable {
  readonly #sources: readonly ExpectedFile[];
  readonly #outputs: readonly string[];
  readonly #open = new Map<string, number>();
  #ioMs = 0;

  /** Paths are those that confinement has resolved. */
  constructor(sources: readonly ExpectedFile[], outputs: readonly string[]) {
    this.#sources = sources;
    this.#outputs = outputs;
  }

  /** Fills `into` from a source file. A file that ends early has changed since it was planned. */
  read(source: number, into: Uint8Array, position: number): void {
    const file = this.#sources[source];
    if (file === undefined) throw new AmalgamError("internal", `Unit names source ${source}, which it does not have`);
    const descriptor = this.#open.get(`source ${source}`) ?? this.#openSource(source, file);
    const started = performance.now();
    let done = 0;
    while (done < into.length) {
      const count = readSync(descriptor, into, done, into.length - done, position + done);
      if (count === 0) {
        throw new AmalgamError(
          "checkpoint_changed",
          `Cannot read ${quote(file.path)}: it ended at byte ${position + done}, expected ${file.bytes}; it was changed during the merge`,
          { details: { file: file.path } },
        );
      }
      done += count;
    }
    this.#ioMs += performance.now() - started;
  }

  /** Writes into a staged output file, which exists and has its full size. */
  write(output: number, bytes: Uint8Array, position: number): void {
    const path = this.#outputs[output];
    if (path === undefined) throw new AmalgamError("internal", `Unit names output ${output}, which it does not have`);
    let descriptor = this.#open.get(`output ${output}`);
    if (descriptor === undefined) {
      descriptor = openSync(path, "r+");
      this.#open.set(`output ${output}`, descriptor);
    }
    const started = performance.now();
    let done = 0;
    while (done < bytes.length) done += writeSync(descriptor, bytes, done, bytes.length - done, position + done);
    this.#ioMs += performance.now() - started;
  }

  /** Seconds spent in reads and writes since the last call. */
  takeIoSeconds(): number {
    const seconds = this.#ioMs / 1000;
    this.#ioMs = 0;
    return seconds;
  }

  [Symbol.dispose](): void {
    for (const descriptor of this.#open.values()) closeSync(descriptor);
    this.#open.clear();
  }

  #openSource(source: number, file: ExpectedFile): number {
    const descriptor = openSync(file.path, "r");
    this.#open.set(`source ${source}`, descriptor);
    const { size, mtimeMs } = fstatSync(descriptor);
    if (size !== file.bytes || mtimeMs !== file.modifiedMs) {
      throw new AmalgamError(
        "checkpoint_changed",
        `Cannot merge from ${quote(file.path)}: it changed after planning (${file.bytes} bytes then, ${size} now); plan again`,
        { details: { file: file.path } },
      );
    }
    return descriptor;
  }
}
