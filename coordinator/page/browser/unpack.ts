import { type Cell, unpackCells } from "../../../shared/cluster/cells.js";

/** Far more than a leader writes: what would unpack to more is not read to its end. */
const maxBytes = 1 << 16;

interface Reader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array }>;
  cancel(): Promise<void>;
}

declare const DecompressionStream: new (
  format: "deflate-raw",
) => { readonly readable: { getReader(): Reader }; readonly writable: { getWriter(): Writer } };

interface Writer {
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** The cells of a `UnitsRecord`. None where they cannot be read. */
export async function readCells(text: string): Promise<readonly Cell[]> {
  try {
    const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return unpackCells(await inflate(packed));
  } catch {
    return [];
  }
}

async function inflate(packed: Uint8Array): Promise<Uint8Array> {
  const { readable, writable } = new DecompressionStream("deflate-raw");
  const writer = writable.getWriter();
  // What is wrong with it is heard by whoever reads.
  writer
    .write(packed)
    .then(() => writer.close())
    .catch(() => undefined);
  const reader = readable.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done || value === undefined) break;
    length += value.length;
    if (length > maxBytes) {
      await reader.cancel();
      throw new RangeError("More cells than there can be");
    }
    parts.push(value);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
