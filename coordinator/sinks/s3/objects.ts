/** What an object is, as far as the server says. */
export interface StoredObject {
  readonly bytes: number;
  readonly etag: string;
  /** Of the whole object, computed by the server. */
  readonly crc32: number | undefined;
  /** What we wrote beside it: which plan it belongs to, and what its CRC-32 should be. */
  readonly plan: string | undefined;
  readonly expectedCrc32: number | undefined;
}

/** What a list of objects says of one. */
export interface ListedObject {
  readonly bytes: number;
  readonly etag: string;
}

export interface StoredPart {
  readonly bytes: number;
  readonly etag: string;
  readonly crc32: number | undefined;
}

/** What is written beside every object. */
export interface ObjectMarks {
  /** The plan's digest. */
  readonly plan: string;
  readonly crc32: number;
}

export interface CompletedPart {
  readonly part: number;
  readonly etag: string;
  readonly crc32: number;
}

/** As it is written beside an object. */
export function metadataOf({ plan, crc32 }: ObjectMarks): Record<string, string> {
  return { "amalgam-plan": plan, "amalgam-crc32": encodeCrc32(crc32) };
}

/** As S3 writes it: four bytes, the highest first, in base64. */
export function encodeCrc32(crc32: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32);
  return bytes.toString("base64");
}

/** The reverse of {@link encodeCrc32}; undefined for what is none. */
export function decodeCrc32(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = Buffer.from(text, "base64");
  return bytes.length === 4 ? bytes.readUInt32BE() : undefined;
}
