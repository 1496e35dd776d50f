import { formatCount, quote } from "../quote.js";
import { type Dtype, isDtype } from "./dtypes.js";
import { maxMetadataEntries, maxMetadataTextBytes, maxRank } from "./header-limits.js";
import type { JsonScanner } from "./json-scanner.js";
import { tensorBytes } from "./tensor-bytes.js";

/** One tensor of a header. `begin` and `end` count bytes from the end of the header, as in the file. */
export type TensorEntry = {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
};

/** The one key of a header that is not a tensor's name. */
export const metadataKey = "__metadata__";

/** Longest word the grammar of a tensor knows, "data_offsets", with every letter escaped. */
const maxKeywordBytes = 12 * 6;

/** One string per dtype, so that a header of 100,000 tensors does not hold 100,000 copies of "BF16". */
const dtypes = new Map<string, Dtype>();

/** Reads `{"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}`, its keys in any order. */
export function readTensorEntry(scanner: JsonScanner, name: string): TensorEntry {
  let dtype: Dtype | undefined;
  let shape: number[] | undefined;
  let [begin, end] = [-1, -1];
  scanner.expect(0x7b);
  let more = !scanner.skip(0x7d);
  while (more) {
    const key = scanner.string(maxKeywordBytes);
    const repeated =
      (key === "dtype" && dtype !== undefined) ||
      (key === "shape" && shape !== undefined) ||
      (key === "data_offsets" && end >= 0);
    if (repeated) throw scanner.problem(`has ${quote(key)} twice`);
    scanner.expect(0x3a);
    if (key === "dtype") dtype = readDtype(scanner);
    else if (key === "shape") shape = readShape(scanner);
    else if (key === "data_offsets") {
      scanner.expect(0x5b);
      begin = scanner.unsigned();
      scanner.expect(0x2c);
      end = scanner.unsigned();
      scanner.expect(0x5d);
    } else throw scanner.problem(`has the unknown key ${quote(key)}`);
    more = scanner.another(0x7d);
  }
  if (dtype === undefined) throw scanner.problem('has no "dtype"');
  if (shape === undefined) throw scanner.problem('has no "shape"');
  if (end < 0) throw scanner.problem('has no "data_offsets"');

  if (begin > end) throw scanner.problem(`begins at ${begin} and ends before, at ${end}`);
  const bytes = tensorBytes(dtype, shape);
  if (bytes === undefined) {
    throw scanner.problem(`has shape [${shape.join(", ")}] of ${dtype}, which is too large or ends inside a byte`);
  }
  if (bytes !== end - begin) {
    const shown = `has shape [${shape.join(", ")}] of ${dtype}, which takes ${bytes} bytes`;
    throw scanner.problem(`${shown}, and offsets [${begin}, ${end}], which hold ${end - begin}`);
  }
  return { name, dtype, shape, begin, end };
}

/** Reads the string-to-string map of `__metadata__`. */
export function readMetadata(scanner: JsonScanner): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  scanner.expect(0x7b);
  let more = !scanner.skip(0x7d);
  while (more) {
    const key = scanner.string(maxMetadataTextBytes);
    if (metadata.has(key)) throw scanner.problem(`has the metadata key ${quote(key)} twice`);
    scanner.expect(0x3a);
    metadata.set(key, scanner.string(maxMetadataTextBytes));
    if (metadata.size > maxMetadataEntries) {
      throw scanner.problem(`has more than ${formatCount(maxMetadataEntries)} metadata entries`);
    }
    more = scanner.another(0x7d);
  }
  return metadata;
}

function readDtype(scanner: JsonScanner): Dtype {
  const name = scanner.string(maxKeywordBytes);
  const known = dtypes.get(name);
  if (known !== undefined) return known;
  if (!isDtype(name)) throw scanner.problem(`has the unknown dtype ${quote(name)}`);
  dtypes.set(name, name);
  return name;
}

/** Made once: an array that is pushed to has room for 17, and a header has 100,000 shapes. */
const dimensions: number[] = [];

function readShape(scanner: JsonScanner): number[] {
  dimensions.length = 0;
  scanner.expect(0x5b);
  let more = !scanner.skip(0x5d);
  while (more) {
    dimensions.push(scanner.unsigned());
    if (dimensions.length > maxRank) throw scanner.problem(`has more than ${maxRank} dimensions`);
    more = scanner.another(0x5d);
  }
  return dimensions.slice();
}
