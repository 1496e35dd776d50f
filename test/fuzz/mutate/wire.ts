/** A field of a protobuf message as it stands on the wire. */
export type WireField =
  | { readonly number: number; readonly kind: "varint"; readonly value: bigint }
  | { readonly number: number; readonly kind: "fixed"; readonly bytes: Uint8Array }
  | { readonly number: number; readonly kind: "bytes"; readonly bytes: Uint8Array };

/** The fields of a message, or undefined if the bytes are none. Groups, which nobody uses, are none. */
export function readFields(bytes: Uint8Array): readonly WireField[] | undefined {
  const fields: WireField[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = readVarint();
    if (tag === undefined || tag >> 3n === 0n || tag >> 3n > 0x1fffffffn) return undefined;
    const number = Number(tag >> 3n);
    const type = Number(tag & 7n);
    if (type === 0) {
      const value = readVarint();
      if (value === undefined) return undefined;
      fields.push({ number, kind: "varint", value });
      continue;
    }
    const length = type === 1 ? 8n : type === 5 ? 4n : type === 2 ? readVarint() : undefined;
    if (length === undefined || BigInt(at) + length > BigInt(bytes.length)) return undefined;
    const value = bytes.subarray(at, at + Number(length));
    at += Number(length);
    fields.push({ number, kind: type === 2 ? "bytes" : "fixed", bytes: value });
  }
  return fields;

  function readVarint(): bigint | undefined {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) return undefined;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  }
}

export function writeFields(fields: readonly WireField[]): Uint8Array {
  return Buffer.concat(
    fields.flatMap((field) => {
      const type = field.kind === "varint" ? 0n : field.kind === "bytes" ? 2n : field.bytes.length === 8 ? 1n : 5n;
      const tag = varint((BigInt(field.number) << 3n) | type);
      if (field.kind === "varint") return [tag, varint(field.value)];
      return field.kind === "fixed" ? [tag, field.bytes] : [tag, varint(BigInt(field.bytes.length)), field.bytes];
    }),
  );
}

export function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return Uint8Array.of(...bytes, Number(rest));
}
