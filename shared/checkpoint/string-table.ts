/** Slots looked at for one string: a file made to collide costs its own strings twice, and no time. */
const maxProbes = 8;

const firstSlots = 1 << 10;

/** Four for each tensor that a checkpoint may have, some 50 MB: the headers of a hostile one hold far more texts. */
const defaultMaxSlots = 1 << 22;

/** Longest text that is kept: a tensor's name is, a picture in `__metadata__` is not. */
const maxKeptBytes = 256;

/**
 * Texts by their bytes, each one string however often it is read: a tensor's name is in the index and in a header, of
 * every model of a merge. Best effort: texts that are long, or find no slot, are made anew.
 */
export class StringTable {
  #strings: (string | undefined)[] = new Array(firstSlots).fill(undefined);
  #hashes = new Int32Array(firstSlots);
  #count = 0;
  readonly #maxSlots: number;

  /** `maxSlots`: for how many texts there is room. @default 2^22 */
  constructor(maxSlots = defaultMaxSlots) {
    this.#maxSlots = maxSlots;
  }

  /** Bytes [begin, end), of ASCII alone. `hash`: any function of these bytes, but always the same one. */
  ascii(bytes: Buffer, begin: number, end: number, hash: number): string {
    if (end - begin > maxKeptBytes) return bytes.toString("latin1", begin, end);
    const slot = this.#slotOf(hash, bytes, begin, end);
    const known = slot === undefined ? undefined : this.#strings[slot];
    if (known !== undefined) return known;
    const text = bytes.toString("latin1", begin, end);
    if (slot !== undefined) this.#keep(slot, text, hash);
    return text;
  }

  /** Where a text is or would go. */
  #slotOf(hash: number, bytes: Uint8Array, begin: number, end: number): number | undefined {
    const mask = this.#hashes.length - 1;
    for (let probe = 0; probe < maxProbes; probe += 1) {
      const slot = (hash + probe) & mask;
      const known = this.#strings[slot];
      if (known === undefined) return slot;
      if (this.#hashes[slot] === hash && isText(known, bytes, begin, end)) return slot;
    }
    return undefined;
  }

  #keep(slot: number, text: string, hash: number): void {
    this.#strings[slot] = text;
    this.#hashes[slot] = hash;
    this.#count += 1;
    if (this.#count * 2 > this.#strings.length && this.#strings.length < this.#maxSlots) this.#grow();
  }

  #grow(): void {
    const [strings, hashes] = [this.#strings, this.#hashes];
    const slots = strings.length * 2;
    this.#strings = new Array(slots).fill(undefined);
    this.#hashes = new Int32Array(slots);
    strings.forEach((text, from) => {
      const hash = hashes[from] ?? 0;
      for (let probe = 0; text !== undefined && probe < maxProbes; probe += 1) {
        const slot = (hash + probe) & (slots - 1);
        if (this.#strings[slot] !== undefined) continue;
        this.#strings[slot] = text;
        this.#hashes[slot] = hash;
        return;
      }
    });
  }
}

function isText(text: string, bytes: Uint8Array, begin: number, end: number): boolean {
  if (text.length !== end - begin) return false;
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) !== bytes[begin + i]) return false;
  return true;
}
