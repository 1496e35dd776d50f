import { widen } from "./convert.js";
import { type ComputableDtype, dtypeBytes } from "./dtypes.js";

const tables = new Map<ComputableDtype, Float32Array>();

/**
 * Elements as numbers, as `widen()` gives them but at the speed of a table, and without rounding F64. `bytes` begins at
 * the start of its buffer.
 */
export function toNumbers(dtype: ComputableDtype, bytes: Uint8Array<ArrayBuffer>): Float32Array | Float64Array {
  const count = bytes.length / dtypeBytes(dtype);
  // Typed arrays have the machine's byte order; Node runs on little-endian machines only, like the file format.
  if (dtype === "F32") return new Float32Array(bytes.buffer, 0, count);
  if (dtype === "F64") return new Float64Array(bytes.buffer, 0, count);
  const table = tableOf(dtype);
  const patterns = dtypeBytes(dtype) === 1 ? bytes : new Uint16Array(bytes.buffer, 0, count);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 1) values[i] = table[patterns[i] ?? 0] ?? 0;
  return values;
}

/** The value of every pattern of an 8- or 16-bit format. */
function tableOf(dtype: ComputableDtype): Float32Array {
  let table = tables.get(dtype);
  if (table === undefined) {
    const patterns = dtypeBytes(dtype) === 1 ? Uint8Array.from({ length: 256 }, (_, i) => i) : allPatterns();
    table = widen(dtype, patterns);
    tables.set(dtype, table);
  }
  return table;
}

function allPatterns(): Uint8Array {
  return new Uint8Array(Uint16Array.from({ length: 65_536 }, (_, i) => i).buffer);
}
