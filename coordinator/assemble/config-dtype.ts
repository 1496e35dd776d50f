import { parseConfig } from "../../shared/checkpoint/config.js";
import type { Dtype } from "../../shared/checkpoint/dtypes.js";
import { valueAt } from "../architecture/config-value.js";
import type { Plan } from "../plan/types.js";
import { editConfig } from "./config-edit.js";

/** What transformers calls the dtypes it can load a model in. */
const torchNames: ReadonlyMap<Dtype, string> = new Map([
  ["F32", "float32"],
  ["F16", "float16"],
  ["BF16", "bfloat16"],
  ["F64", "float64"],
]);

/**
 * The one floating-point dtype of the output, as transformers calls it. Undefined when there are several, or when it is
 * one that transformers keeps under another heading, such as an 8-bit float.
 */
export function uniformDtype(plan: Plan): string | undefined {
  const floats = new Set(plan.tensors.map(({ dtype }) => dtype).filter((dtype) => /^B?F/.test(dtype)));
  const [only] = floats;
  return floats.size === 1 && only !== undefined ? torchNames.get(only) : undefined;
}

/** The text of a `config.json` with its `torch_dtype` and `dtype` set to `dtype`, where it has them as strings. */
export function withDtype(config: string, dtype: string): string {
  const value = parseConfig(Buffer.from(config), "config.json");
  const paths = [["torch_dtype"], ["dtype"]].filter((path) => typeof valueAt(value, path) === "string");
  return editConfig(
    config,
    paths.map((path) => ({ path, value: dtype })),
  );
}
