import { formatBytes } from "../../../shared/bytes.js";
import { openRegularFile } from "../../../shared/checkpoint/regular-file.js";
import { dataError } from "./complain.js";
import { type RowLimits, rowLimits } from "./limits.js";

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Without its end, whether "\n" or "\r\n". */
  readonly text: string;
  readonly bytes: number;
}

const readBytes = 1 << 18;
const lineFeed = 0x0a;

/** The lines of a file in UTF-8, read as they are asked for. A byte order mark is left out. */
export async function* readLines(path: string, { recordBytes }: RowLimits = rowLimits): AsyncGenerator<Line> {
  const { handle } = await openRegularFile(path);
  try {
    const buffer = Buffer.alloc(readBytes);
    let pending: Buffer[] = [];
    let pendingBytes = 0;
    let number = 1;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) break;
      let start = 0;
      while (start < bytesRead) {
        const found = buffer.subarray(0, bytesRead).indexOf(lineFeed, start);
        const end = found < 0 ? bytesRead : found;
        pending.push(Buffer.from(buffer.subarray(start, end)));
        pendingBytes += end - start;
        if (pendingBytes > recordBytes) {
          throw dataError(`${path}:${number}`, `The line is longer than ${formatBytes(recordBytes)}`);
        }
        start = end + 1;
        if (found < 0) continue;
        yield decode(path, number, Buffer.concat(pending));
        number += 1;
        pending = [];
        pendingBytes = 0;
      }
    }
    if (pendingBytes > 0) yield decode(path, number, Buffer.concat(pending));
  } finally {
    await handle.close();
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(path: string, number: number, bytes: Buffer): Line {
  try {
    const text = utf8.decode(bytes).replace(/\r$/, "");
    return { number, text: number === 1 ? text.replace(/^\uFEFF/, "") : text, bytes: bytes.length };
  } catch (error) {
    throw dataError(`${path}:${number}`, "The line is not UTF-8", error);
  }
}
