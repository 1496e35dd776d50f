import { type Dtype, dtypeBits } from "../../../shared/checkpoint/dtypes.js";
import { oneOf, type Random } from "../mutate/random.js";

const names = [
  "a",
  "model.layers.0.weight",
  "é",
  "\\u0061b",
  "__proto__",
  "toString",
  "x/../y",
  "\\ud83d\\ude42",
  "",
  " ",
];
const dtypes: readonly Dtype[] = [
  ...(["BOOL", "U8", "I8", "I16", "U16", "I32", "U32", "I64", "U64", "F16", "BF16", "F32", "F64", "C64"] as const),
  ...(["F4", "F6_E2M3", "F6_E3M2", "F8_E4M3", "F8_E5M2", "F8_E8M0"] as const),
];
const dimensions = [0, 1, 2, 3, 4, 8, 16];

/** A header that is sound, of any dtypes and shapes, in any order, written with or without spaces. */
export function madeHeader(random: Random): string {
  const space = random(4) === 0 ? " " : "";
  let offset = 0;
  const tensors = Array.from({ length: random(5) }, (_, i) => {
    const dtype = oneOf(dtypes, random);
    const shape = Array.from({ length: random(4) }, () => oneOf(dimensions, random));
    // A dtype of part of a byte is sound where there are whole bytes of it.
    if ((shape.reduce((product, dimension) => product * dimension, dtypeBits(dtype)) & 7) !== 0) shape.push(8);
    const bytes = shape.reduce((product, dimension) => product * dimension, dtypeBits(dtype)) / 8;
    const facts = [`"dtype":${space}"${dtype}"`, `"shape":${space}[${shape.join(`,${space}`)}]`];
    facts.splice(random(3), 0, `"data_offsets":[${offset},${offset + bytes}]`);
    offset += bytes;
    return `"${oneOf(names, random)}${i}":${space}{${facts.join(`,${space}`)}}`;
  });
  if (random(3) === 0) tensors.splice(random(tensors.length + 1), 0, `"__metadata__":{"${oneOf(names, random)}":"pt"}`);
  for (let i = tensors.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [tensors[i], tensors[j]] = [tensors[j] ?? "", tensors[i] ?? ""];
  }
  return `{${tensors.join(`,${space}`)}}${" ".repeat(random(8))}`;
}
