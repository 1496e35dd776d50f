import { type ComputableDtype, dtypeBytes } from "./dtypes.js";

/**
 * A small floating-point format, described as IEEE 754 does. A pattern's low bits are the mantissa, then comes the
 * exponent, then the sign; the smallest exponent field means subnormal numbers.
 */
type Format = {
  readonly bits: 8 | 16;
  readonly mantissaBits: number;
  /** Exponent of the smallest normal number, and of the subnormal ones. */
  readonly minExponent: number;
  /** Pattern of the largest finite number. */
  readonly largest: number;
  /** Pattern of what lies beyond it: infinity, or the largest number again in the format that has no infinity. */
  readonly overflow: number;
  /** The one NaN that is written, positive and quiet. */
  readonly nan: number;
};

const formats = {
  BF16: { bits: 16, mantissaBits: 7, minExponent: -126, largest: 0x7f7f, overflow: 0x7f80, nan: 0x7fc0 },
  F16: { bits: 16, mantissaBits: 10, minExponent: -14, largest: 0x7bff, overflow: 0x7c00, nan: 0x7e00 },
  F8_E5M2: { bits: 8, mantissaBits: 2, minExponent: -14, largest: 0x7b, overflow: 0x7c, nan: 0x7f },
  // The "fn" variant: no infinities, and one NaN, next to 448, the largest number (Micikevicius et al. 2022, table 1).
  F8_E4M3: { bits: 8, mantissaBits: 3, minExponent: -6, largest: 0x7e, overflow: 0x7e, nan: 0x7f },
} as const satisfies Record<string, Format>;

type SmallDtype = keyof typeof formats;

const canonicalNanF32 = 0x7fc00000;
const canonicalNanF64 = 0x7ff8000000000000n;

/**
 * Little-endian bytes of a tensor as 32-bit floats, exactly; only F64 rounds, to nearest even. These conversions are the
 * reference that the fast ones are tested against, so they are written to be checked by eye. What a NaN becomes is a NaN,
 * its payload is not specified.
 */
export function widen(dtype: ComputableDtype, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const width = dtypeBytes(dtype);
  if (bytes.length % width !== 0) {
    throw new RangeError(`Cannot widen ${bytes.length} bytes as ${dtype}: an element takes ${width}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(bytes.length / width);
  switch (dtype) {
    case "F64":
      return values.map((_, i) => view.getFloat64(i * 8, true));
    case "F32":
      return values.map((_, i) => view.getFloat32(i * 4, true));
    case "F16":
    case "BF16": {
      const table = tableOf(dtype);
      return values.map((_, i) => table[view.getUint16(i * 2, true)] as number);
    }
    case "F8_E4M3":
    case "F8_E5M2": {
      const table = tableOf(dtype);
      return values.map((_, i) => table[view.getUint8(i)] as number);
    }
  }
}

/**
 * 32-bit floats as little-endian bytes of `dtype`, rounded to nearest, ties to even. NaN becomes the format's canonical
 * one (F32 0x7fc00000, F64 0x7ff8000000000000, BF16 0x7fc0, F16 0x7e00, F8_E5M2 and F8_E4M3 0x7f). What rounds beyond
 * the largest number becomes infinity; F8_E4M3, which has none, saturates at 448, as PyTorch does since 2.12 (earlier
 * versions and ml_dtypes gave NaN). Merges count such elements in their receipts, so none goes unseen.
 */
export function narrow(dtype: ComputableDtype, values: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(values.length * dtypeBytes(dtype));
  const view = new DataView(bytes.buffer);
  switch (dtype) {
    case "F64":
      values.forEach((value, i) => {
        if (Number.isNaN(value)) view.setBigUint64(i * 8, canonicalNanF64, true);
        else view.setFloat64(i * 8, value, true);
      });
      return bytes;
    case "F32":
      values.forEach((value, i) => {
        if (Number.isNaN(value)) view.setUint32(i * 4, canonicalNanF32, true);
        else view.setFloat32(i * 4, value, true);
      });
      return bytes;
    case "F16":
    case "BF16":
      values.forEach((value, i) => {
        view.setUint16(i * 2, toPattern(formats[dtype], value), true);
      });
      return bytes;
    case "F8_E4M3":
    case "F8_E5M2":
      values.forEach((value, i) => {
        view.setUint8(i, toPattern(formats[dtype], value));
      });
      return bytes;
  }
}

const tables = new Map<SmallDtype, Float32Array>();

/** The value of every pattern of a format. */
function tableOf(dtype: SmallDtype): Float32Array {
  const known = tables.get(dtype);
  if (known !== undefined) return known;
  const format = formats[dtype];
  const table = new Float32Array(1 << format.bits).map((_, pattern) => fromPattern(format, pattern));
  tables.set(dtype, table);
  return table;
}

function fromPattern(format: Format, pattern: number): number {
  const magnitude = pattern & ((1 << (format.bits - 1)) - 1);
  const sign = magnitude === pattern ? 1 : -1;
  if (magnitude > format.largest) {
    return magnitude === format.overflow ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  }
  const field = magnitude >> format.mantissaBits;
  const mantissa = magnitude & ((1 << format.mantissaBits) - 1);
  const step = 2 ** (format.minExponent - format.mantissaBits);
  if (field === 0) return sign * mantissa * step;
  return sign * ((1 << format.mantissaBits) + mantissa) * step * 2 ** (field - 1);
}

/**
 * The pattern nearest to `value`. Between two powers of two the numbers of a format are evenly spaced, so it is enough to
 * count those spaces in whole numbers: a count that rounds up to the next power of two carries into the exponent field,
 * as one more in the pattern should.
 */
function toPattern(format: Format, value: number): number {
  if (Number.isNaN(value)) return format.nan;
  const sign = value < 0 || Object.is(value, -0) ? 1 << (format.bits - 1) : 0;
  const magnitude = Math.abs(value);
  if (magnitude === Number.POSITIVE_INFINITY) return format.overflow | sign;
  const exponent = Math.max(exponentOf(magnitude), format.minExponent);
  const spacing = powerOfTwo(exponent - format.mantissaBits);
  // Exact: the divisor is a power of two and the dividend has 24 significant bits, far fewer than a double keeps.
  const count = roundTiesToEven(magnitude / spacing);
  const pattern = ((exponent - format.minExponent) << format.mantissaBits) + count;
  return Math.min(pattern, format.overflow) | sign;
}

/** The exponent of the power of two at or below a 32-bit float, read from its bits; -127 for zero and subnormals. */
function exponentOf(magnitude: number): number {
  scratch.setFloat32(0, magnitude);
  return (scratch.getUint32(0) >>> 23) - 127;
}

const scratch = new DataView(new ArrayBuffer(4));

/** Of a number from 0 to 2^52: above that a double has no room for a fraction, and what is added there is rounded so. */
function roundTiesToEven(value: number): number {
  return value + 2 ** 52 - 2 ** 52;
}

/** For the spacings of every format. Looked up, since raising to a power takes longer than all else here. */
function powerOfTwo(exponent: number): number {
  return powersOfTwo[exponent + 150] as number;
}

const powersOfTwo = Float64Array.from({ length: 300 }, (_, i) => 2 ** (i - 150));
