// Keeps a leading U+FEFF as a character of the name and refuses what is not UTF-8.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const backslash = 0x5c;
const letterU = 0x75;

/** What stands after a backslash, and the character it means. */
const shortEscapes: ReadonlyMap<number, number> = new Map(
  [
    ['"', '"'],
    ["\\", "\\"],
    ["/", "/"],
    ["b", "\b"],
    ["f", "\f"],
    ["n", "\n"],
    ["r", "\r"],
    ["t", "\t"],
  ].map(([letter = "", meant = ""]) => [letter.charCodeAt(0), meant.charCodeAt(0)]),
);

/**
 * The inside of a JSON string, without its quotes, as text; or what is wrong with it. Unpaired surrogates are refused,
 * like in the reference reader, so every name has exactly one spelling in UTF-8.
 */
export function decodeJsonString(raw: Uint8Array): { text: string } | { problem: string } {
  // Escapes become the UTF-8 bytes they mean, which are never more than the escape took.
  const out = Buffer.allocUnsafe(raw.length);
  let length = 0;
  let isAscii = true;
  for (let i = 0; i < raw.length; i++) {
    const byte = raw[i] as number;
    if (byte < 0x20) return { problem: "has a string with a control character" };
    if (byte !== backslash) {
      out[length++] = byte;
      if (byte >= 0x80) isAscii = false;
      continue;
    }
    const escaped = readEscape(raw, i + 1);
    if (escaped === undefined) return { problem: "has a string with an invalid escape" };
    i += escaped.bytes;
    if (escaped.codePoint >= 0x80) isAscii = false;
    length = writeUtf8(out, length, escaped.codePoint);
  }
  const text = out.subarray(0, length);
  if (isAscii) return { text: text.toString("latin1") };
  try {
    return { text: utf8.decode(text) };
  } catch {
    return { problem: "has a string that is not valid UTF-8" };
  }
}

type Escape = { readonly codePoint: number; readonly bytes: number };

/** The character that an escape means, and how many bytes of `raw` it takes from `at`, after the backslash, on. */
function readEscape(raw: Uint8Array, at: number): Escape | undefined {
  const letter = raw[at] ?? 0;
  if (letter !== letterU) {
    const meant = shortEscapes.get(letter);
    return meant === undefined ? undefined : { codePoint: meant, bytes: 1 };
  }
  const first = readHex4(raw, at + 1);
  if (first === undefined || isLowSurrogate(first)) return undefined;
  if (first < 0xd800 || first > 0xdbff) return { codePoint: first, bytes: 5 };
  // The first half of a pair; the second must follow at once.
  if (raw[at + 5] !== backslash || raw[at + 6] !== letterU) return undefined;
  const second = readHex4(raw, at + 7);
  if (second === undefined || !isLowSurrogate(second)) return undefined;
  return { codePoint: 0x10000 + (first - 0xd800) * 0x400 + (second - 0xdc00), bytes: 11 };
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

function readHex4(raw: Uint8Array, at: number): number | undefined {
  let value = 0;
  for (let i = at; i < at + 4; i++) {
    const byte = raw[i] ?? 0;
    // "A" to "F" and "a" to "f" differ in one bit.
    const lower = byte | 0x20;
    if (byte >= 0x30 && byte <= 0x39) value = value * 16 + (byte - 0x30);
    else if (lower >= 0x61 && lower <= 0x66) value = value * 16 + (lower - 0x61 + 10);
    else return undefined;
  }
  return value;
}

/** Writes a character as UTF-8 at `at` and returns where the next one goes. */
function writeUtf8(out: Uint8Array, at: number, codePoint: number): number {
  const continuation = (shift: number): number => 0x80 | ((codePoint >> shift) & 0x3f);
  if (codePoint < 0x80) {
    out[at] = codePoint;
    return at + 1;
  }
  if (codePoint < 0x800) {
    out.set([0xc0 | (codePoint >> 6), continuation(0)], at);
    return at + 2;
  }
  if (codePoint < 0x10000) {
    out.set([0xe0 | (codePoint >> 12), continuation(6), continuation(0)], at);
    return at + 3;
  }
  out.set([0xf0 | (codePoint >> 18), continuation(12), continuation(6), continuation(0)], at);
  return at + 4;
}
