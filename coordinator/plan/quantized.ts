import type { Dtype } from "../../shared/checkpoint/dtypes.js";
import { quote } from "../../shared/quote.js";
import type { ModelTensor, StageModel } from "./stage-model.js";

/**
 * How the names of weights end, and those of what they are multiplied by: FP8 of DeepSeek-V3, FP8 and packed integers of
 * compressed-tensors, GPTQ and AWQ, MXFP4 of gpt-oss.
 */
const formats = [
  { weight: "", scale: "_scale_inv" },
  { weight: "", scale: "_scale" },
  { weight: ".weight_packed", scale: ".weight_scale" },
  { weight: ".qweight", scale: ".scales" },
  { weight: "_blocks", scale: "_scales" },
] as const;

/**
 * Why a tensor's elements are not the numbers of the model, as what follows "Cannot merge tensor …: "; undefined if they
 * are. A weight and its scales are one thing: the mean of two weights times the mean of two scales is not the mean of what
 * they stand for.
 */
export function quantizedBecause(model: StageModel, { name, dtype }: ModelTensor): string | undefined {
  // Asked of every tensor of every model, and most are neither.
  if (!isNarrow(dtype) && !formats.some(({ scale }) => name.endsWith(scale))) return undefined;
  const own = quote(model.name);
  for (const { weight, scale } of formats) {
    const [scales, weights] = [exchangeEnd(name, weight, scale), exchangeEnd(name, scale, weight)];
    if (isNarrow(dtype) && model.tensor(scales ?? "") !== undefined) {
      return `in ${own} it is ${dtype} to be multiplied by ${quote(scales ?? "")}${advice}`;
    }
    const stored = model.tensor(weights ?? "");
    if (stored !== undefined && isNarrow(stored.dtype)) {
      return `in ${own} it is what ${quote(stored.name)} is to be multiplied by${advice}`;
    }
  }
  if (!dtype.startsWith("F8_") || !saysQuantized(model.config)) return undefined;
  const missing = quote(`${name}_scale_inv`);
  return `in ${own} it is ${dtype}, config.json has a "quantization_config", and ${missing} is missing${advice}`;
}

const advice = "; merge models that are not quantized, and quantize the result";

/** Of so few bits that there is a scale to it. */
function isNarrow(dtype: Dtype): boolean {
  return /^(?:F4|F6|F8|I8|U8|I32)/.test(dtype);
}

function saysQuantized(config: unknown): boolean {
  if (typeof config !== "object" || config === null) return false;
  const value: unknown = Object.hasOwn(config, "quantization_config") && Reflect.get(config, "quantization_config");
  return typeof value === "object" && value !== null;
}

function exchangeEnd(name: string, end: string, other: string): string | undefined {
  return name.endsWith(end) ? name.slice(0, name.length - end.length) + other : undefined;
}
