import type { Tensor } from "onnxruntime-node";
import { AmalgamError } from "../../../shared/errors.js";
import { quote, quoteList } from "../../../shared/quote.js";
import type { Feeds } from "./graph-inputs.js";
import { runtimeError } from "./runtime.js";
import type { LoadedGraph } from "./session-store.js";

/** Runs a graph for some of its outputs. Blocks the thread until they are there. */
export async function run(
  { session, checkpoint }: LoadedGraph,
  feeds: Feeds,
  outputs: readonly string[],
): Promise<(name: string) => Tensor> {
  const missing = outputs.filter((name) => !session.outputNames.includes(name));
  if (missing.length > 0) {
    const problem = `it has no output ${quoteList(missing)}, only ${quoteList(session.outputNames, 16)}`;
    throw new AmalgamError("checkpoint_mismatch", `Cannot run the graph: ${problem}`, { details: { checkpoint } });
  }
  let results: Readonly<Record<string, Tensor>>;
  try {
    results = await session.run(feeds, [...outputs]);
  } catch (cause) {
    throw runtimeError(`Cannot run the graph with checkpoint ${quote(checkpoint)}`, cause, checkpoint);
  }
  return (name) => {
    const tensor = results[name];
    if (tensor === undefined) throw new AmalgamError("internal", `ONNX Runtime computed no output ${quote(name)}`);
    return tensor;
  };
}

/** The numbers of an output, which must be of FLOAT. */
export function floats(name: string, { data, type }: Tensor): Float32Array {
  if (data instanceof Float32Array) return data;
  throw new AmalgamError("checkpoint_mismatch", `Cannot use output ${quote(name)}: it is ${type}, not float32`);
}

/** The numbers of an output of INT64. */
export function wholes(name: string, { data, type }: Tensor): Float64Array {
  if (data instanceof BigInt64Array) return Float64Array.from(data, Number);
  throw new AmalgamError("checkpoint_mismatch", `Cannot use output ${quote(name)}: it is ${type}, not int64`);
}
