/** The CRC-32 polynomial of ISO-HDLC, bit-reversed: bit 31 is the coefficient of x⁰. */
const polynomial = 0xedb88320;
const one = 0x80000000;

/**
 * The CRC-32 of two byte strings one after the other, from the CRC-32 of each: the bytes are not needed again. Appending
 * n bytes multiplies the first remainder by x^(8n) modulo the polynomial.
 */
export function combineCrc32(first: number, second: number, secondBytes: number): number {
  return (multiply(first, shiftBy(secondBytes)) ^ second) >>> 0;
}

/** Almost all chunks have one length. */
let lastLength = 0;
let lastShift = one;

function shiftBy(bytes: number): number {
  if (bytes !== lastLength) {
    lastShift = power(bytes);
    lastLength = bytes;
  }
  return lastShift;
}

/** x^(8n) by repeated squaring; n may exceed 32 bits. */
function power(n: number): number {
  let result = one;
  let square = one >>> 8;
  for (let left = n; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = multiply(result, square);
    square = multiply(square, square);
  }
  return result;
}

/** The product of two polynomials over GF(2), modulo the CRC's. */
function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = one; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= shifted;
    shifted = (shifted & 1) === 0 ? shifted >>> 1 : (shifted >>> 1) ^ polynomial;
  }
  return product >>> 0;
}
