import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";

export type JsonObject = Readonly<Record<string, unknown>>;

/** A JSON object from a file of a model. `file` is for the message. */
export function parseJsonObject(bytes: Uint8Array, file: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw malformed(file, "it is not JSON", cause);
  }
  if (!isObject(value)) throw malformed(file, "it is not a JSON object");
  return value;
}

/**
 * A JSON object as the Hugging Face libraries print theirs, two spaces deep. Whole numbers keep all their digits:
 * `model_max_length` is often 10^30, and `1e+30` would be read back as a float.
 */
export function formatJson(value: JsonObject, file: string): Uint8Array {
  try {
    return Buffer.from(`${withAllDigits(JSON.stringify(value, undefined, 2))}\n`);
  } catch (cause) {
    throw malformed(file, "it is too large or nested too deeply", cause);
  }
}

/** A printed string never spans lines, so that a line which ends in a number is one. */
function withAllDigits(text: string): string {
  return text.replace(
    /^( *(?:"(?:[^"\\]|\\.)*": )?)(-?\d[\d.]*e\+\d+)(,?)$/gm,
    (_, start: string, number: string, comma: string) => `${start}${BigInt(Number(number))}${comma}`,
  );
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function malformed(file: string, problem: string, cause?: unknown): AmalgamError {
  return new AmalgamError("checkpoint_malformed", `Cannot read tokenizer ${quote(file)}: ${problem}`, {
    cause,
    details: { file },
  });
}
