import type { Plan } from "../plan/types.js";
import type { PieceResult, Pieces } from "./pieces.js";
import { HashedFile } from "./reading.js";

/** What reading a whole staged file found. */
export interface FileCheck {
  /** In hexadecimal. */
  readonly sha256: string;
  /** Pieces whose bytes are not what their receipts say. */
  readonly changed: readonly PieceResult[];
}

/** One file's hash on its way. */
interface Hashing {
  readonly file: HashedFile;
  readonly changed: PieceResult[];
  /** The step under way; steps follow one another. */
  step: Promise<void>;
  /** Once it was asked for. */
  sha256: Promise<string> | undefined;
}

/**
 * The SHA-256 of every output file, computed while the merge runs: each file is hashed as far as its pieces are in place
 * without a gap. The same reading checks every piece against its receipt, so what is hashed is what the agents computed
 * and not what a lost page or a bad disk made of it since.
 */
export class Digests {
  readonly #plan: Plan;
  readonly #paths: readonly string[];
  readonly #pieces: Pieces;
  readonly #signal: AbortSignal;
  readonly #hashing = new Map<number, Hashing>();

  constructor(plan: Plan, paths: readonly string[], pieces: Pieces, signal: AbortSignal) {
    this.#plan = plan;
    this.#paths = paths;
    this.#pieces = pieces;
    this.#signal = signal;
  }

  /** Hashes on as far as possible, in the background. */
  advance(file: number): void {
    const hashing = this.#hashingOf(file);
    hashing.step = hashing.step.then(() => this.#readOn(file, hashing));
    // A failure is for whoever asks for the digest in the end; until then it must not count as unhandled.
    hashing.step.catch(() => undefined);
  }

  /** The digest of a file that is whole. */
  async of(file: number): Promise<FileCheck> {
    this.advance(file);
    const hashing = this.#hashingOf(file);
    try {
      await hashing.step;
      hashing.sha256 ??= hashing.file.digest();
      return { sha256: await hashing.sha256, changed: hashing.changed };
    } catch (error) {
      // Asked for again, the file is read again: the failure may pass.
      this.forget(file);
      throw error;
    }
  }

  /** Begins anew with a file whose bytes are going to change. */
  forget(file: number): void {
    this.#hashing.delete(file);
  }

  #hashingOf(file: number): Hashing {
    const known = this.#hashing.get(file);
    if (known !== undefined) return known;
    const hashed = new HashedFile(this.#paths[file] ?? "");
    const hashing: Hashing = { file: hashed, changed: [], step: Promise.resolve(), sha256: undefined };
    this.#hashing.set(file, hashing);
    return hashing;
  }

  async #readOn(file: number, { file: hashed, changed }: Hashing): Promise<void> {
    const begin = Math.max(hashed.position, this.#plan.files[file]?.header.length ?? 0);
    const ready = this.#pieces.contiguousFrom(file, begin);
    const ranges = ready.map(({ piece, range }) => ({ ...range, crc32: piece.crc32 }));
    for (const place of await hashed.read(ranges.at(-1)?.end ?? begin, ranges, this.#signal)) {
      const piece = ready[place]?.piece;
      if (piece !== undefined) changed.push(piece);
    }
  }
}
