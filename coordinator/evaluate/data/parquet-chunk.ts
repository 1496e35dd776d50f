export type ParquetRow = Readonly<Record<string, unknown>>;

/** Enough that messages are few, little enough that a few copies of it are nothing. */
const fullBytes = 4 << 20;
const fullRows = 4096;

/** Some rows on their way out of the reading process. */
export class RowChunk {
  readonly rows: ParquetRow[] = [];
  /** About what the rows take in memory. */
  bytes = 0;

  get isFull(): boolean {
    return this.rows.length >= fullRows || this.bytes >= fullBytes;
  }

  /** Adds a row as the reader gives it, made plain. */
  add(row: ParquetRow): void {
    this.rows.push(this.#plain(row) as ParquetRow);
  }

  #plain(value: unknown): unknown {
    this.bytes += 8;
    if (value === undefined || value === null) return null;
    if (typeof value === "string") {
      this.bytes += value.length;
      return value;
    }
    if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
    if (typeof value !== "object") return value;
    if (value instanceof Date) return value.toISOString();
    if (value instanceof Uint8Array) {
      this.bytes += value.length;
      return value;
    }
    if (Array.isArray(value) || ArrayBuffer.isView(value)) {
      return Array.from(value as Iterable<unknown>, (item) => this.#plain(item));
    }
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.#plain(item)]));
  }
}
