import { type Mutate, oneOf, type Random } from "./random.js";
import { readFields, type WireField, writeFields } from "./wire.js";

const integers = [0n, 1n, 2n, 255n, 65_536n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
const floats = [0, -0, 1, -1, 0.5, 3, 1e308, Number.NaN, Number.POSITIVE_INFINITY];

/**
 * Edits the fields of a message, at any depth: changed, left out, repeated, renumbered, or taken from another message.
 * Lengths agree, so that what reads the message is reached; now and then a byte is changed, so that they do not.
 * `texts`: words that mean something to the reader.
 */
export function mutateProtobuf(texts: readonly string[]): Mutate {
  const words = texts.map((text) => Buffer.from(text));
  return (input, other, random) => {
    let bytes = input;
    for (let edits = 1 + random(3); edits > 0; edits--) bytes = edit(bytes, other, random);
    return bytes;
  };

  function edit(bytes: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
    const fields = readFields(bytes);
    if (fields === undefined || fields.length === 0) return editBytes(bytes, random);
    const place = random(fields.length);
    const field = fields[place];
    if (field === undefined) return bytes;
    const replaced = (...put: readonly WireField[]): Uint8Array => writeFields(fields.toSpliced(place, 1, ...put));
    switch (random(16)) {
      case 0:
        return replaced();
      case 1:
        return replaced(field, field);
      case 2:
        return replaced({ ...field, number: 1 + random(16) });
      case 3:
        return writeFields([...fields.toSpliced(place, 1), field]);
      case 4:
        return replaced(oneOf([...(readFields(other) ?? []), field], random));
      case 5:
        return editBytes(bytes, random);
      default:
        return replaced(editField(field, other, random));
    }
  }

  function editField(field: WireField, other: Uint8Array, random: Random): WireField {
    if (field.kind === "varint") {
      const value = random(2) === 0 ? oneOf(integers, random) : field.value + BigInt(random(5) - 2);
      return { ...field, value: BigInt.asUintN(64, value) };
    }
    if (field.kind === "fixed") return { ...field, bytes: editFixed(field.bytes, random) };
    const partner = readFields(other)?.find(({ number, kind }) => number === field.number && kind === "bytes");
    const inner = partner?.kind === "bytes" ? partner.bytes : other;
    const goesInside = (readFields(field.bytes)?.length ?? 0) > 0 && random(8) > 0;
    return { ...field, bytes: goesInside ? edit(field.bytes, inner, random) : editBytes(field.bytes, random) };
  }

  function editFixed(bytes: Uint8Array, random: Random): Uint8Array {
    if (random(2) === 0) return editBytes(bytes, random).subarray(0, bytes.length);
    const edited = Buffer.alloc(bytes.length);
    if (edited.length === 8) edited.writeDoubleLE(oneOf(floats, random));
    else edited.writeUInt32LE(Number(oneOf(integers, random) & 0xffffffffn));
    return edited;
  }

  function editBytes(bytes: Uint8Array, random: Random): Uint8Array {
    const at = random(bytes.length + 1);
    const put = random(3) === 0 ? oneOf(words, random) : Uint8Array.of(random(256));
    if (random(4) === 0) return put;
    return Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + random(1 + put.length))]);
  }
}
