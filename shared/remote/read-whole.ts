import { formatBytes } from "../bytes.js";
import { maxIndexBytes, parseIndex } from "../checkpoint/index-json.js";
import { AmalgamError } from "../errors.js";
import { quote, quoteList } from "../quote.js";
import type { RemoteFile, RemoteStore } from "./remote-store.js";

/** The whole of a small file, refused by its size before a byte of it is asked for. */
export async function readWhole(
  store: Pick<RemoteStore, "read">,
  file: RemoteFile,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (file.bytes > maxBytes) {
    const problem = `it has ${formatBytes(file.bytes)}, above the limit of ${formatBytes(maxBytes)}`;
    throw new AmalgamError("checkpoint_malformed", `Cannot read ${quote(file.url)}: ${problem}`, {
      details: { file: file.url },
    });
  }
  const whole = new Uint8Array(file.bytes);
  let done = 0;
  const deliver = (bytes: Uint8Array): void => {
    whole.set(bytes, done);
    done += bytes.length;
  };
  await store.read(file, { offset: 0, length: file.bytes }, deliver, signal);
  return whole;
}

/** The names of an index's shards, each once and safe to put into an address, in order. */
export async function readShardNames(
  store: Pick<RemoteStore, "read">,
  index: RemoteFile,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const { weightMap } = parseIndex(await readWhole(store, index, maxIndexBytes, signal), index.url);
  return [...new Set(weightMap.values())].toSorted();
}

/** Shards that are missing are named together, since one rarely is alone. */
export function assertNoneMissing(url: string, shards: readonly string[], missing: readonly string[]): void {
  if (missing.length === 0) return;
  throw new AmalgamError(
    "checkpoint_malformed",
    `Cannot use ${quote(url)}: ${missing.length} of the ${shards.length} files that its index names are missing: ${quoteList(missing)}`,
    { details: { file: url } },
  );
}
