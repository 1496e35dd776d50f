import type { Dtype } from "../../shared/checkpoint/dtypes.js";
import { JsonScanner } from "../../shared/checkpoint/json-scanner.js";
import { readJsonValue } from "../../shared/checkpoint/json-value.js";
import type { Plan } from "../plan/types.js";

/** What transformers calls the dtypes it can load a model in. */
const torchNames: ReadonlyMap<Dtype, string> = new Map([
  ["F32", "float32"],
  ["F16", "float16"],
  ["BF16", "bfloat16"],
  ["F64", "float64"],
]);

/** A key may be as long as a config may be: one that is odd is copied, not refused. */
const maxKeyBytes = 16 << 20;

/**
 * The one floating-point dtype of the output, as transformers calls it. Undefined when there are several, or when it is
 * one that transformers keeps under another heading, such as an 8-bit float.
 */
export function uniformDtype(plan: Plan): string | undefined {
  const floats = new Set(plan.tensors.map(({ dtype }) => dtype).filter((dtype) => /^B?F/.test(dtype)));
  const [only] = floats;
  return floats.size === 1 && only !== undefined ? torchNames.get(only) : undefined;
}

/**
 * The text of a `config.json` with its `torch_dtype` and `dtype` set to `dtype`, where it has them as strings. The rest
 * stays as it was written: printing the parsed value anew would turn `10000.0` into `10000`, which some readers refuse,
 * and lose the digits of large integers.
 */
export function withDtype(config: string, dtype: string): string {
  const bytes = Buffer.from(config);
  const scanner = new JsonScanner(bytes, (problem, at) => new SyntaxError(`Config ${problem} (byte ${at})`));
  const parts: Buffer[] = [];
  let copied = 0;
  scanner.expect(0x7b);
  let more = !scanner.skip(0x7d);
  while (more) {
    const key = scanner.string(maxKeyBytes);
    scanner.expect(0x3a);
    const isString = scanner.peek() === 0x22;
    const begin = scanner.at;
    readJsonValue(scanner, { duplicateKeys: "last wins" });
    if (isString && (key === "torch_dtype" || key === "dtype")) {
      parts.push(bytes.subarray(copied, begin), Buffer.from(JSON.stringify(dtype)));
      copied = scanner.at;
    }
    more = scanner.another(0x7d);
  }
  return Buffer.concat([...parts, bytes.subarray(copied)]).toString();
}
