import type { Reach } from "./reach.js";

/** A file on a server, as it was when somebody looked. */
export interface RemoteFile {
  /**
   * Where it is, in its one canonical form, without secrets: `https://host/path`, `s3://bucket/key` or
   * `hf://owner/name@COMMIT/path`.
   */
  readonly url: string;
  readonly bytes: number;
  /**
   * What the server calls this state of the file: a strong ETag, the Hub's SHA-256 or blob id. Another one means that the
   * file was changed. Undefined: the server calls it nothing, and only size and header tell one state from another.
   */
  readonly version: string | undefined;
  /** The server sends no ranges of it: it can only be read from its start to its end, at once. */
  readonly wholeOnly?: true;
}

/** A checkpoint, an adapter or one safetensors file on a server. */
export interface RemoteModel {
  /** As it was asked for, with what was left open filled in: a revision of the Hub became its commit. */
  readonly url: string;
  /**
   * By name in the model's folder: weights, and what a plan and an output want besides (configuration, index, tokenizer,
   * templates, adapter, licence). One file that was asked for by name is alone, or with the small files beside it.
   */
  readonly files: ReadonlyMap<string, RemoteFile>;
  /** SPDX identifier or the Hub's own word for it, where the server says. */
  readonly license?: string | undefined;
}

/** What is asked of a server. Every failure is an {@link AmalgamError} that names the URL and no secret. */
export interface RemoteStore {
  /**
   * What there is at the address of a folder, or of one `.safetensors` file: names, sizes and versions, no weights. Fails
   * with `source_refused` when there is nothing or the server does not let us (its message says how to let it), with
   * `source_failed` when the server does not work, after some tries.
   */
  readonly find: (url: string, signal?: AbortSignal) => Promise<RemoteModel>;
  /**
   * Hands the bytes [offset, offset + length) to `deliver`, in order and each once; a connection that is cut is taken up
   * where it ended. Fails with `checkpoint_changed` when the server has another state of the file by now (size, version,
   * revision), and as {@link find} does. What is delivered is only valid during the call.
   */
  readonly read: (
    file: RemoteFile,
    range: { readonly offset: number; readonly length: number },
    deliver: (bytes: Uint8Array) => void,
    signal?: AbortSignal,
  ) => Promise<void>;
  /** Ends idle connections. */
  readonly close: () => Promise<void>;
}

export interface RemoteOptions {
  /** Where addresses may lead. @default anywhere: whoever wrote them may read all that this process may */
  readonly reach?: Reach | undefined;
  /**
   * Addresses below which this process was told to read. What a public server of theirs redirects to has to be public as well, or
   * on a host that is named here; a private one may lead anywhere. @default redirects lead anywhere
   */
  readonly roots?: readonly string[] | undefined;
  /** Whether an IP address leads into the public Internet. @default isPublicAddress */
  readonly isPublic?: ((address: string) => boolean) | undefined;
  /** Where tokens, credentials, endpoints and proxies are named. @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Bytes that all reads together may have asked for and not delivered. @default 64 MiB */
  readonly maxInFlightBytes?: number;
  /** How long a server that fails is put up with. */
  readonly patience?: Partial<Patience>;
}

/** When a server is asked again, and when it is given up. */
export interface Patience {
  /** Failures in a row, without progress between them, after which it is given up. @default 8 */
  readonly tries: number;
  /** Before the second try; doubles with every further one, and a random part of it, up to half, is left out. @default 500 */
  readonly firstDelayMs: number;
  /** @default 20,000 */
  readonly maxDelayMs: number;
  /** Longest wait that a server may ask for with `Retry-After`. @default 60,000 */
  readonly maxRetryAfterMs: number;
  /** How long a connection may take to open. @default 10,000 */
  readonly connectMs: number;
  /** How long a server may be silent, or send next to nothing. @default 30,000 */
  readonly stallMs: number;
}
