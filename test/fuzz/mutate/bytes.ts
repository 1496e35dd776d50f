import { type Mutate, oneOf, type Random } from "./random.js";

/** What often breaks readers of numbers. */
const numbers = [
  ...["0", "-0", "-1", "1e3", "1e999", "0x10", "4294967296", "9007199254740992", "9007199254740993"],
  ...["18446744073709551615", "18446744073709551616", "NaN", ".nan", ".inf", "1.0", "00", "1_000"],
];

/** Edits of bytes and of text, with `words` of the language that is read. */
export function mutateBytes(words: readonly string[]): Mutate {
  const dictionary = [...words, ...numbers].map((word) => Buffer.from(word));
  const digits = /\d+/g;

  return (input, other, random) => {
    let bytes: Buffer = Buffer.from(input);
    const edits = random(2) === 0 ? 1 : 1 + random(4);
    for (let left = edits; left > 0; left--) bytes = edit(bytes, other, random);
    return bytes;
  };

  function edit(bytes: Buffer, other: Uint8Array, random: Random): Buffer {
    const from = random(bytes.length + 1);
    const to = Math.min(bytes.length, from + random(random(4) === 0 ? 64 : 8));
    const replace = (...middle: readonly Uint8Array[]): Buffer =>
      Buffer.concat([bytes.subarray(0, from), ...middle, bytes.subarray(to)]);
    switch (random(8)) {
      case 0:
        return replace();
      case 1:
        return replace(Uint8Array.of(random(256)));
      case 2:
        return replace(bytes.subarray(from, to), bytes.subarray(from, to));
      case 3:
        return replace(part(other, random));
      case 4:
        return exchangeNumber(bytes, random);
      case 5:
        return exchangeLine(bytes, other, random);
      default:
        return replace(oneOf(dictionary, random), ...(random(2) === 0 ? [bytes.subarray(from, to)] : []));
    }
  }

  function exchangeNumber(bytes: Buffer, random: Random): Buffer {
    const text = bytes.toString("latin1");
    const found = [...text.matchAll(digits)];
    const match = found[random(Math.max(1, found.length))];
    if (match === undefined) return bytes;
    const near = String(Number(match[0]) + random(17) - 8);
    const put = random(2) === 0 ? near : oneOf(numbers, random);
    return Buffer.from(text.slice(0, match.index) + put + text.slice(match.index + match[0].length), "latin1");
  }
}

function part(bytes: Uint8Array, random: Random): Uint8Array {
  const from = random(bytes.length + 1);
  return bytes.subarray(from, from + random(64));
}

/** Puts a line of another input into this one, or takes one away. */
function exchangeLine(bytes: Buffer, other: Uint8Array, random: Random): Buffer {
  const lines = bytes.toString("latin1").split("\n");
  const others = Buffer.from(other).toString("latin1").split("\n");
  lines.splice(random(lines.length), random(2), ...(random(3) === 0 ? [] : [oneOf(others, random)]));
  return Buffer.from(lines.join("\n"), "latin1");
}
