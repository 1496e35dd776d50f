import { type InferenceSession, Tensor } from "onnxruntime-node";
import { AmalgamError } from "../../../shared/errors.js";
import type { InputTensor } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { quote, quoteList } from "../../../shared/quote.js";
import { elementsOf } from "../../../shared/shape.js";

/** Inputs by name, as ONNX Runtime takes them. */
export type Feeds = Readonly<Record<string, Tensor>>;

type Wanted = InferenceSession.ValueMetadata;

/**
 * A batch's inputs in the types that a graph declares. What a graph of other makers wants besides follows from the mask:
 * positions count its tokens, token types are zero. What the graph does not know is left out where that changes nothing,
 * a mask without padding and token types of zero, and is refused otherwise.
 */
export function graphInputs(session: InferenceSession, inputs: readonly InputTensor[]): Feeds {
  const given = new Map(inputs.map((input) => [input.name, input]));
  const feeds: Record<string, Tensor> = {};
  for (const wanted of session.inputMetadata) {
    const input = given.get(wanted.name) ?? derived(wanted.name, given);
    if (input === undefined) {
      const problem = `the graph wants the input ${quote(wanted.name)}, the task gives ${quoteList([...given.keys()])}`;
      throw mismatch(problem);
    }
    feeds[wanted.name] = toTensor(input, wanted);
  }
  for (const { name, dtype, data } of inputs) {
    if (Object.hasOwn(feeds, name) || isNeutral(name, numbers(dtype, data))) continue;
    throw mismatch(
      `the task gives the input ${quote(name)}, the graph has none but ${quoteList(session.inputNames, 16)}`,
    );
  }
  return feeds;
}

/** INT64, as all that counts or names something is. */
export function wholeTensor(values: readonly number[], shape: readonly number[]): Tensor {
  return new Tensor("int64", BigInt64Array.from(values, BigInt), shape);
}

/** An input of whole numbers, by row. */
export function wholeRows(input: InputTensor): readonly (readonly number[])[] {
  const [rows = 0, width = 0] = input.shape;
  const values = Array.from(numbers(input.dtype, input.data), Number);
  return Array.from({ length: rows }, (_, row) => values.slice(row * width, (row + 1) * width));
}

type Numbers = Float32Array | BigInt64Array | Int32Array | Uint8Array;

/** Copied, for the bytes of a message begin anywhere. */
function numbers(dtype: string, data: Uint8Array): Numbers {
  const { buffer } = new Uint8Array(data);
  if (dtype === "F32") return new Float32Array(buffer);
  if (dtype === "I64") return new BigInt64Array(buffer);
  if (dtype === "I32") return new Int32Array(buffer);
  return new Uint8Array(buffer);
}

function toTensor({ name, dtype, shape, data, scale, shift }: InputTensor, wanted: Wanted): Tensor {
  const values = numbers(dtype, data);
  const type = wanted.isTensor ? wanted.type : "no tensor";
  if (wanted.isTensor && wanted.shape.length !== shape.length) {
    throw mismatch(`input ${quote(name)} is [${shape.join(", ")}], the graph wants [${wanted.shape.join(", ")}]`);
  }
  if (type === "float32" && dtype !== "I64") return new Tensor("float32", toFloats(values, shape, scale, shift), shape);
  if (type === "int64" && dtype !== "F32") return new Tensor("int64", toBigInts(values), shape);
  if (type === "int32" && dtype !== "F32") return new Tensor("int32", Int32Array.from(values, Number), shape);
  if (type === "uint8" && values instanceof Uint8Array) return new Tensor("uint8", values, shape);
  throw mismatch(`input ${quote(name)} is ${dtype}, the graph wants ${type}`);
}

function toBigInts(values: Numbers): BigInt64Array {
  return values instanceof BigInt64Array ? values : BigInt64Array.from(values, BigInt);
}

/** x, or scale[c] · x + shift[c] for element x of channel c, the second dimension. */
function toFloats(
  values: Numbers,
  shape: readonly number[],
  scale: readonly number[],
  shift: readonly number[],
): Float32Array {
  if (values instanceof Float32Array) return values;
  const floats = Float32Array.from(values, Number);
  if (scale.length === 0) return floats;
  const [, channels = 1, ...rest] = shape;
  const plane = elementsOf(rest);
  return floats.map((x, i) => {
    const channel = Math.floor(i / plane) % channels;
    return (scale[channel] ?? 1) * x + (shift[channel] ?? 0);
  });
}

function derived(name: string, given: ReadonlyMap<string, InputTensor>): InputTensor | undefined {
  const decoder = name.startsWith("decoder_") ? "decoder_" : "";
  const ids = given.get(`${decoder}input_ids`);
  if (ids === undefined) return undefined;
  const like = (rows: readonly (readonly number[])[]): InputTensor => ({
    ...ids,
    name,
    dtype: "I64",
    data: new Uint8Array(BigInt64Array.from(rows.flat(), BigInt).buffer),
  });
  const rows = wholeRows(ids);
  switch (name.slice(decoder.length)) {
    case "attention_mask":
      return like(rows.map((row) => row.map(() => 1)));
    case "token_type_ids":
      return like(rows.map((row) => row.map(() => 0)));
    case "position_ids": {
      const mask = given.get(`${decoder}attention_mask`);
      return like((mask === undefined ? rows.map((row) => row.map(() => 1)) : wholeRows(mask)).map(positions));
    }
    default:
      return undefined;
  }
}

/** Tokens count from 0; the position of padding does not matter. */
function positions(mask: readonly number[]): readonly number[] {
  let next = 0;
  return mask.map((isToken) => (isToken ? next++ : 0));
}

function isNeutral(name: string, values: Numbers): boolean {
  const is = (wanted: number): boolean => Array.from(values, Number).every((value) => value === wanted);
  if (name === "attention_mask" || name === "decoder_attention_mask") return is(1);
  return name === "token_type_ids" && is(0);
}

function mismatch(problem: string): AmalgamError {
  return new AmalgamError("checkpoint_mismatch", `Cannot run the graph: ${problem}`);
}
