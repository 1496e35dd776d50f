/** One chunk on the wire: large enough for throughput, far under gRPC's default message limit of 4 MiB. */
export const chunkBytes = 1 << 20;

/** `1536` → `"1.5 KB"`. Decimal units, as disks and networks are sold and as checkpoint sizes are quoted. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/**
 * A size that a person typed: `"512MiB"`, `"2GB"`, `"4096"`. Binary and decimal suffixes mean what they say; a bare
 * number is bytes. Returns undefined for anything else.
 */
export function parseBytes(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?)b?\s*$/i.exec(text);
  if (match === null) return undefined;
  const [, digits = "", prefix = "", binary] = match;
  const power = prefix === "" ? 0 : "kmgtp".indexOf(prefix.toLowerCase()) + 1;
  const bytes = Number(digits) * (binary ? 1024 : 1000) ** power;
  return Number.isSafeInteger(Math.round(bytes)) ? Math.round(bytes) : undefined;
}

/** A `uint64` from the wire as a number. Every size and offset here is far below 2^53; one that is not is refused. */
export function toSafeNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < 0n) {
    throw new RangeError(`Cannot use ${value} as a size: it does not fit in 53 bits`);
  }
  return Number(value);
}
