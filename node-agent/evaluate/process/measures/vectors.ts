import { formatBytes } from "../../../../shared/bytes.js";
import { AmalgamError } from "../../../../shared/errors.js";
import type { EvaluationBatch } from "../../../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../../../shared/quote.js";
import { limits } from "../../limits.js";
import { graphInputs } from "../graph-inputs.js";
import { floats, run } from "../run.js";
import type { LoadedGraph } from "../session-store.js";
import type { Answer } from "./answer.js";

/** An output of a graph, a row per example; everything behind the first dimension is one row. */
export async function vectors(graph: LoadedGraph, output: string, batch: EvaluationBatch): Promise<Answer> {
  const name = output === "" ? (graph.session.outputNames[0] ?? "") : output;
  const found = (await run(graph, graphInputs(graph.session, batch.inputs), [name]))(name);
  const values = floats(name, found);
  const examples = batch.inputs[0]?.shape[0] ?? 0;
  const refuse = (problem: string): AmalgamError =>
    new AmalgamError("checkpoint_mismatch", `Cannot use output ${quote(name)} of batch ${batch.batch}: ${problem}`);
  if (found.dims[0] !== examples) {
    throw refuse(`its shape is [${found.dims.join(", ")}] for ${examples} examples`);
  }
  if (values.byteLength > limits.resultBytes) {
    const [size, limit] = [formatBytes(values.byteLength), formatBytes(limits.resultBytes)];
    throw refuse(`it has ${size}, above the limit of ${limit}; make batches smaller`);
  }
  return {
    vectors: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    width: values.length / examples,
  };
}
