import { closeSync, constants, fstatSync, openSync, readSync, type Stats, writeSync } from "node:fs";
import { toSafeNumber } from "../shared/bytes.js";
import { assertRegular } from "../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../shared/errors.js";
import type { SourceFile } from "../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../shared/quote.js";
import { isRemote } from "../shared/remote/url.js";
import { changedFile, endedEarly } from "./changed-file.js";
import type { RemoteFiles } from "./files/remote-files.js";
import { type IoLimit, sleepBlocking } from "./io-limit.js";
import type { Confinement } from "./roots.js";

/** Who is told what a unit's files do, as they do it. */
export interface FileObserver {
  /** Bytes of sources were read, wherever from. */
  read(bytes: number): void;
  /** Time went into reads, or into writes. */
  spent(ms: number, act: "read" | "write"): void;
  /** Called several times a second while a read or write waits; throws to end it. */
  lookUp(): void;
}

export interface UnitFilesOptions {
  readonly confinement: Confinement;
  readonly observer: FileObserver;
  /** Undefined: as fast as it goes. */
  readonly ioLimit?: IoLimit | undefined;
  /** Reads what is not here, from other agents and servers. Called once, for the first such file. */
  readonly openRemote: () => RemoteFiles;
}

/** With a limit, no more than this is read or written at once. */
const limitedBytes = 256 << 10;

/**
 * A unit's open files. Sources are opened when first read, after a check that they still are what was planned; all are
 * closed at the end of the unit, so a file replaced during a job is noticed by the next one. A source on a server is read
 * from there; one that is not here, or not the planned one, from the agents that have it, if there are any.
 */
export class UnitFiles implements Disposable {
  readonly #sources: readonly SourceFile[];
  readonly #outputs: readonly string[];
  readonly #options: UnitFilesOptions;
  /** By source: the descriptor, or that it is read from elsewhere. */
  readonly #openSources = new Map<number, number | "remote">();
  readonly #openOutputs = new Map<number, number>();
  #remote: RemoteFiles | undefined;

  /** `outputs` are paths that confinement has resolved. */
  constructor(sources: readonly SourceFile[], outputs: readonly string[], options: UnitFilesOptions) {
    this.#sources = sources;
    this.#outputs = outputs;
    this.#options = options;
  }

  /** Fills `into` from a source file. A file that ends early has changed since it was planned. */
  read(source: number, into: Uint8Array, position: number): void {
    const file = this.#sources[source];
    if (file === undefined) throw new AmalgamError("internal", `Unit names source ${source}, which it does not have`);
    const descriptor = this.#openSources.get(source) ?? this.#openSource(source, file);
    const { observer } = this.#options;
    this.#inParts("read", into, descriptor === "remote" ? undefined : this.#options.ioLimit, (part, at) => {
      if (descriptor === "remote") readRemotely(this.#remote, source, file, part, position + at);
      else readLocally(descriptor, part, position + at, file);
      observer.read(part.length);
    });
  }

  /** Writes into a staged output file, which exists and has its full size. */
  write(output: number, bytes: Uint8Array, position: number): void {
    const path = this.#outputs[output];
    if (path === undefined) throw new AmalgamError("internal", `Unit names output ${output}, which it does not have`);
    const descriptor = this.#openOutputs.get(output) ?? openWritable(path);
    this.#openOutputs.set(output, descriptor);
    this.#inParts("write", bytes, this.#options.ioLimit, (part, at) => {
      let done = 0;
      try {
        while (done < part.length) done += writeSync(descriptor, part, done, part.length - done, position + at + done);
      } catch (error) {
        throw failedIo("write", path, error);
      }
    });
  }

  [Symbol.dispose](): void {
    for (const descriptor of this.#openSources.values()) if (descriptor !== "remote") closeSync(descriptor);
    for (const descriptor of this.#openOutputs.values()) closeSync(descriptor);
    this.#openSources.clear();
    this.#openOutputs.clear();
  }

  /** One act, or with a limit as many as it takes, each in its time. */
  #inParts(
    kind: "read" | "write",
    bytes: Uint8Array,
    limit: IoLimit | undefined,
    act: (part: Uint8Array, at: number) => void,
  ): void {
    const { observer } = this.#options;
    const started = performance.now();
    const atOnce = limit === undefined ? Math.max(1, bytes.length) : limitedBytes;
    for (let at = 0; at < bytes.length; at += atOnce) {
      const part = bytes.subarray(at, at + atOnce);
      if (limit !== undefined) sleepBlocking(limit.take(part.length), () => observer.lookUp());
      act(part, at);
    }
    observer.spent(performance.now() - started, kind);
  }

  #openSource(source: number, file: SourceFile): number | "remote" {
    const opened = this.#openHere(file);
    if (opened === "remote") this.#remote ??= this.#options.openRemote();
    this.#openSources.set(source, opened);
    return opened;
  }

  #openHere(file: SourceFile): number | "remote" {
    const { confinement } = this.#options;
    if (isRemote(file.path)) {
      confinement.fetchable(file.path);
      return "remote";
    }
    try {
      return openPlanned(confinement.readable(file.path), file);
    } catch (error) {
      if (file.peers.length === 0) throw error;
      return "remote";
    }
  }
}

function openPlanned(path: string, file: SourceFile): number {
  return openRegular(path, constants.O_RDONLY, ({ size, mtimeMs }) => {
    if (BigInt(size) !== file.bytes || mtimeMs !== file.modifiedMs) {
      throw changedFile(path, Number(file.bytes), size);
    }
  });
}

function openWritable(path: string): number {
  return openRegular(path, constants.O_RDWR, () => undefined);
}

/** Neither waits for the other end of a FIFO: nothing ends a thread that waits inside the system. */
function openRegular(path: string, access: number, check: (stats: Stats) => void): number {
  const descriptor = openSync(path, access | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(descriptor);
    assertRegular(stats, path);
    check(stats);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** The system says neither what it could not do nor to which file. */
function failedIo(act: "read" | "write", path: string, error: unknown): AmalgamError {
  const { code, message, details } = AmalgamError.from(error);
  return new AmalgamError(code, `Cannot ${act} ${quote(path)}: ${message}`, { cause: error, details });
}

function readRemotely(
  files: RemoteFiles | undefined,
  source: number,
  { path, bytes }: SourceFile,
  into: Uint8Array,
  position: number,
): void {
  try {
    files?.read(source, toSafeNumber(bytes), into, position);
  } catch (error) {
    const { code, message, details } = AmalgamError.from(error);
    throw new AmalgamError(code, message, { cause: error, details: { ...details, file: path } });
  }
}

function readLocally(descriptor: number, into: Uint8Array, position: number, { path, bytes }: SourceFile): void {
  let done = 0;
  while (done < into.length) {
    let count: number;
    try {
      count = readSync(descriptor, into, done, into.length - done, position + done);
    } catch (error) {
      throw failedIo("read", path, error);
    }
    if (count === 0) throw endedEarly(path, position + done, Number(bytes));
    done += count;
  }
}
