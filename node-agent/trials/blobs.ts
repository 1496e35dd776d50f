import { createHash } from "node:crypto";
import { formatBytes } from "../../shared/bytes.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Holding, Ledger } from "./ledger.js";
import { blobShare } from "./limits.js";

interface Blob {
  readonly bytes: Uint8Array;
  readonly holding: Holding;
}

/** Bytes by their SHA-256, in hexadecimal. They take a bounded share of the ledger, the least recently used going first. */
export class Blobs {
  readonly #ledger: Ledger;
  readonly #allowed: number;
  /** The least recently used first. */
  readonly #known = new Map<string, Blob>();
  #held = 0;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
    this.#allowed = Math.floor(blobShare * ledger.allowed);
  }

  /** Fails with `out_of_memory` when there is no room for them beside what trials use now. */
  keep(blobs: readonly Uint8Array[]): void {
    for (const bytes of blobs) this.#keep(bytes);
  }

  /** What is there of these. */
  holdings(digests: Iterable<string>): Holding[] {
    return [...digests].flatMap((digest) => this.#known.get(digest)?.holding ?? []);
  }

  /** Fails with `inputs_missing` unless all are there. */
  assertPresent(digests: ReadonlySet<string>, act: string): void {
    const missing = [...digests].filter((digest) => !this.#known.has(digest));
    const [first] = missing;
    if (first === undefined) return;
    const held = `the agent holds ${formatBytes(this.#held)} of batches and graphs and may hold ${formatBytes(this.#allowed)}`;
    throw new AmalgamError(
      "inputs_missing",
      `Cannot ${act}: ${missing.length} of the ${digests.size} batches and graphs that it needs are not here, such as ${first}; ${held}`,
      { details: { missing: String(missing.length), needed: String(digests.size), allowed: String(this.#allowed) } },
    );
  }

  /** Uses them all, or fails as {@link assertPresent} does. They stay until what is returned is disposed of. */
  use(digests: ReadonlySet<string>, act: string): UsedBlobs {
    this.assertPresent(digests, act);
    const used = new Map<string, Blob>();
    for (const digest of digests) {
      const blob = this.#known.get(digest);
      if (blob === undefined) continue;
      blob.holding.use();
      this.#touch(digest, blob);
      used.set(digest, blob);
    }
    return {
      get: (digest) => used.get(digest)?.bytes ?? new Uint8Array(),
      [Symbol.dispose]: () => {
        for (const { holding } of used.values()) holding.release();
      },
    };
  }

  #keep(bytes: Uint8Array): void {
    const digest = createHash("sha256").update(bytes).digest("hex");
    const known = this.#known.get(digest);
    if (known !== undefined) {
      this.#touch(digest, known);
      return;
    }
    this.#makeRoom(bytes.length);
    const holding = this.#ledger.tryTake(bytes.length, () => this.#forget(digest));
    if (holding === undefined) throw full(bytes.length, this.#ledger.allowed);
    // A copy: what came is a part of a whole message.
    this.#known.set(digest, { bytes: Uint8Array.from(bytes), holding });
    this.#held += bytes.length;
    holding.release();
  }

  /** Within the share of blobs. What trials use stays in any case, so this may be too little by that. */
  #makeRoom(bytes: number): void {
    if (bytes > this.#allowed) throw tooLarge(bytes, this.#allowed);
    for (const [digest, { holding }] of [...this.#known]) {
      if (this.#held + bytes <= this.#allowed) return;
      if (holding.isUsed) continue;
      this.#forget(digest);
      holding.discard();
    }
    if (this.#held + bytes > this.#allowed) throw full(bytes, this.#allowed);
  }

  #touch(digest: string, blob: Blob): void {
    this.#known.delete(digest);
    this.#known.set(digest, blob);
  }

  #forget(digest: string): void {
    this.#held -= this.#known.get(digest)?.bytes.length ?? 0;
    this.#known.delete(digest);
  }
}

/** Blobs that stay until they are disposed of. */
export interface UsedBlobs extends Disposable {
  /** One of those that were asked for. */
  get(digest: string): Uint8Array;
}

function tooLarge(bytes: number, allowed: number): AmalgamError {
  return new AmalgamError(
    "out_of_memory",
    `Cannot keep ${formatBytes(bytes)} of one batch or graph: the agent may hold ${formatBytes(allowed)} of such; give it more ("--trial-memory" of an agent), or make batches smaller ("batch" in the task file)`,
    { details: { needed: String(bytes), allowed: String(allowed) } },
  );
}

function full(bytes: number, allowed: number): AmalgamError {
  return new AmalgamError(
    "out_of_memory",
    `Cannot keep ${formatBytes(bytes)} of batches or graphs: trials use the rest of the ${formatBytes(allowed)} that the agent may hold; give it more ("--trial-memory" of an agent)`,
    { details: { needed: String(bytes), allowed: String(allowed) } },
  );
}
