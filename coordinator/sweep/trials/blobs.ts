import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { formatBytes } from "../../../shared/bytes.js";
import { AmalgamError } from "../../../shared/errors.js";
import { EvaluationBatchSchema } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../../shared/quote.js";
import { maxMessageBytes } from "../../../shared/rpc/channel.js";
import type { Prepared } from "../../evaluate/kinds/context.js";
import { batchMessage } from "../../evaluate/wire.js";

/** What an agent keeps for trials: a batch of examples, or a graph. */
export interface Blob {
  /** SHA-256 of its bytes. */
  readonly digest: Uint8Array;
  readonly bytes: number;
  read(): Promise<Uint8Array>;
}

/** Its digest in hexadecimal. */
export function keyOf({ digest }: Pick<Blob, "digest">): string {
  return Buffer.from(digest).toString("hex");
}

export interface BatchBlob extends Blob {
  /** Into the task's batches. */
  readonly batch: number;
  readonly examples: number;
  /** Tokens that are predicted. */
  readonly targets: number;
}

/** Batches that are held here in case an agent asks for them. What is over is made again when it is wanted. */
const maxHeldBytes = 256 << 20;
/** Room for what is beside the blobs in a message. */
const envelopeBytes = 1 << 20;
export const maxBlobBytes = maxMessageBytes - envelopeBytes;

/** Bytes by digest, the most recently used ones. */
export class HeldBytes {
  readonly #held = new Map<string, Uint8Array>();
  readonly #limit: number;
  #bytes = 0;

  constructor(limitBytes = maxHeldBytes) {
    this.#limit = limitBytes;
  }

  get(digest: string): Uint8Array | undefined {
    const bytes = this.#held.get(digest);
    if (bytes === undefined) return undefined;
    this.#held.delete(digest);
    this.#held.set(digest, bytes);
    return bytes;
  }

  add(digest: string, bytes: Uint8Array): void {
    if (this.#held.has(digest)) return;
    this.#held.set(digest, bytes);
    this.#bytes += bytes.length;
    for (const [oldest, { length }] of this.#held) {
      if (this.#bytes <= this.#limit) break;
      this.#held.delete(oldest);
      this.#bytes -= length;
    }
  }
}

/** Makes each batch of a prepared task once, to know its digest. Fails with `usage` for one that no message can hold. */
export async function batchBlobs(prepared: Prepared, held: HeldBytes): Promise<readonly BatchBlob[]> {
  const blobs: BatchBlob[] = [];
  for (const [batch, { examples }] of prepared.batches.entries()) {
    const { bytes, targets } = await serialize(prepared, batch);
    if (bytes.length > maxBlobBytes) throw tooLarge(prepared, bytes.length);
    const digest = sha256(bytes);
    const key = digest.toString("hex");
    held.add(key, bytes);
    const read = async (): Promise<Uint8Array> => {
      const known = held.get(key);
      if (known !== undefined) return known;
      const again = (await serialize(prepared, batch)).bytes;
      held.add(key, again);
      return again;
    };
    blobs.push({ batch, digest, examples, targets, bytes: bytes.length, read });
  }
  return blobs;
}

const graphDigests = new WeakMap<Uint8Array, Uint8Array>();

/** A graph is in memory anyway. */
export function graphBlob(model: Uint8Array): Blob {
  let digest = graphDigests.get(model);
  if (digest === undefined) {
    digest = sha256(model);
    graphDigests.set(model, digest);
  }
  return { digest, bytes: model.length, read: async () => model };
}

async function serialize(
  prepared: Prepared,
  batch: number,
): Promise<{ readonly bytes: Uint8Array; readonly targets: number }> {
  const loaded = await prepared.load(batch);
  const bytes = toBinary(EvaluationBatchSchema, create(EvaluationBatchSchema, batchMessage(batch, loaded)));
  return { bytes, targets: loaded.targets?.rows.length ?? 0 };
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

function tooLarge({ task }: Prepared, bytes: number): AmalgamError {
  const [shown, limit] = [formatBytes(bytes), formatBytes(maxBlobBytes)];
  const message = `Cannot send a batch of task ${quote(task.name)}: it has ${shown}, above the limit of ${limit}; make batches smaller with "batch" in the task file`;
  return new AmalgamError("usage", message);
}
