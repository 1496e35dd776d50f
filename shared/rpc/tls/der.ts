/** One value of ASN.1 in DER (X.690): a tag, and what it holds. */
export interface DerValue {
  readonly tag: number;
  readonly content: Buffer;
  /** With tag and length: what a signature is over. */
  readonly whole: Buffer;
}

/** As X.509 uses them. */
export const derTag = {
  integer: 0x02,
  bitString: 0x03,
  oid: 0x06,
  boolean: 0x01,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  extensions: 0xa0,
} as const;

/** Reads values one after another. Every way of breaking off, or of being something else, is a `RangeError`. */
export class DerReader {
  #rest: Buffer;

  constructor(bytes: Buffer) {
    this.#rest = bytes;
  }

  get isDone(): boolean {
    return this.#rest.length === 0;
  }

  /** The tag of the next value; undefined after the last. */
  get nextTag(): number | undefined {
    return this.#rest[0];
  }

  /** The next value, which has to have one of the tags. */
  next(...tags: readonly number[]): DerValue {
    const { tag, content, whole } = this.#split();
    if (!tags.includes(tag)) throw new RangeError(`a value has tag ${tag}, and ${tags.join(" or ")} was to come`);
    this.#rest = this.#rest.subarray(whole.length);
    return { tag, content, whole };
  }

  /** The next value if it has one of the tags. */
  nextIf(...tags: readonly number[]): DerValue | undefined {
    return tags.includes(this.nextTag ?? -1) ? this.next(...tags) : undefined;
  }

  /** What the next value, a sequence, holds. */
  enter(): DerReader {
    return new DerReader(this.next(derTag.sequence).content);
  }

  #split(): DerValue {
    const [tag, short] = this.#rest;
    if (tag === undefined || short === undefined) throw new RangeError("it breaks off");
    // Bit 8: the other bits say how many bytes of length follow. Four count to 4 GiB.
    const lengthBytes = short < 0x80 ? 0 : short & 0x7f;
    const begin = 2 + lengthBytes;
    if (short === 0x80 || lengthBytes > 4) throw new RangeError("a length is not one of DER");
    if (begin > this.#rest.length) throw new RangeError("it breaks off");
    const length = lengthBytes === 0 ? short : this.#rest.readUIntBE(2, lengthBytes);
    if (length > this.#rest.length - begin) throw new RangeError("it breaks off");
    const whole = this.#rest.subarray(0, begin + length);
    return { tag, content: whole.subarray(begin), whole };
  }
}

/** `1.2.840.10045.4.3.2` of an object identifier's content. */
export function oidOf(content: Buffer): string {
  const parts: number[] = [];
  let part = 0;
  for (const byte of content) {
    part = part * 128 + (byte & 0x7f);
    if (byte >= 0x80) continue;
    if (parts.length === 0)
      parts.push(Math.min(Math.floor(part / 40), 2), part - 40 * Math.min(Math.floor(part / 40), 2));
    else parts.push(part);
    part = 0;
  }
  return parts.join(".");
}

/** UTCTime has two digits of the year, of 1950 to 2049 (RFC 5280, 4.1.2.5.1). Only UTC, to the second, is allowed. */
export function timeOf({ tag, content }: DerValue): Date {
  const text = content.toString("latin1");
  const century = tag === derTag.generalizedTime ? "" : Number(text.slice(0, 2)) < 50 ? "20" : "19";
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(`${century}${text}`) ?? [];
  const date = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(date.getTime())) throw new RangeError("a time is none of RFC 5280's");
  return date;
}
