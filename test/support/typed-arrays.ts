import { expect } from "vitest";

// Loaded once for each process of tests. Vitest compares typed arrays element by element, by names of properties: a megabyte
// takes a second. Where all bits are the same, so are all elements; where they are not, it looks for itself and says which.

expect.addEqualityTesters([
  (a: unknown, b: unknown): true | undefined => {
    if (!ArrayBuffer.isView(a) || !ArrayBuffer.isView(b)) return undefined;
    return a.constructor === b.constructor && bytesOf(a).equals(bytesOf(b)) ? true : undefined;
  },
]);

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
