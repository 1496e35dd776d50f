import type { RemoteFile, RemoteStore } from "../remote-store.js";

/** How a file is cut, unless somebody says otherwise. */
export const defaultPieceBytes = 8 << 20;

export interface PiecesOptions {
  readonly start: number;
  readonly pieceBytes: number;
  /** Called with bytes that have come, in whatever piece. */
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal | undefined;
}

/** Pieces of one file that are on their way or wait for those before them. */
const ahead = 4;

/**
 * The bytes of a file from `start` on, in order and in pieces, several of which are fetched at once. Nothing is on its way
 * any more when it ends, however it ends.
 */
export async function* fetchPieces(
  store: Pick<RemoteStore, "read">,
  file: RemoteFile,
  { start, pieceBytes, onBytes, signal }: PiecesOptions,
): AsyncGenerator<Uint8Array> {
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const pending: Promise<Uint8Array>[] = [];
  try {
    for (let next = start; next < file.bytes || pending.length > 0; ) {
      while (pending.length < ahead && next < file.bytes) {
        const length = Math.min(pieceBytes, file.bytes - next);
        const piece = fetchPiece(store, file, { offset: next, length }, { onBytes, signal: either });
        // It is looked at when its turn comes.
        piece.catch(() => undefined);
        pending.push(piece);
        next += length;
      }
      const first = pending.shift();
      if (first !== undefined) yield await first;
    }
  } finally {
    stop.abort();
    await Promise.allSettled(pending);
  }
}

async function fetchPiece(
  store: Pick<RemoteStore, "read">,
  file: RemoteFile,
  range: { readonly offset: number; readonly length: number },
  { onBytes, signal }: Pick<PiecesOptions, "onBytes" | "signal">,
): Promise<Uint8Array> {
  const piece = new Uint8Array(range.length);
  let done = 0;
  const deliver = (bytes: Uint8Array): void => {
    piece.set(bytes, done);
    done += bytes.length;
    onBytes(bytes.length);
  };
  await store.read(file, range, deliver, signal);
  return piece;
}
