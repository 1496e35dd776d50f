import { crc32 } from "node:zlib";
import { type Dtype, dtypeBits } from "../../shared/checkpoint/dtypes.js";
import type { ErrorCode } from "../../shared/errors.js";

export type DtypeName = Dtype;

/** What a fake worker does besides its work; "script.json" in its first root. */
export interface Script {
  /** Only for this unit. Default: for every unit. */
  readonly unit?: number;
  /** `stuck`: waits inside the system, for somebody to write to "fifo" in its first root. */
  readonly fault?: "crash" | "out of memory" | "throw" | "hang" | "deaf" | "stuck" | "fail";
  /** Of the failure. */
  readonly code?: ErrorCode;
  /** Before every piece. */
  readonly sleepMs?: number;
}

/** The bytes that a fake worker makes of elements [begin, end) of a tensor. */
export function pieceBytes(tensor: string, begin: number, end: number, dtype: DtypeName): Uint8Array<ArrayBuffer> {
  const width = dtypeBits(dtype) / 8;
  const bytes = new Uint8Array((end - begin) * width);
  const seed = crc32(tensor);
  const block = 4096;
  const first = begin * width;
  for (let at = 0; at < bytes.length; ) {
    const next = Math.min(bytes.length, at + block - ((first + at) % block));
    bytes.fill(seed + Math.floor((first + at) / block), at, next);
    at = next;
  }
  return bytes;
}
