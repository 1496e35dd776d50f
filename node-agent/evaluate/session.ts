import { env, InferenceSession, Tensor } from "onnxruntime-node";
import type { Checkpoint } from "../../shared/checkpoint/open.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Batch } from "./batch.js";
import { bindWeights } from "./bind-weights.js";

/** A graph with a checkpoint's weights under it, ready to run. */
export interface EvaluationSession extends AsyncDisposable {
  /** The graph's inputs. */
  readonly inputs: readonly string[];
  /** The graph's first output, of FLOAT. Blocks the thread until it is there. */
  run(inputs: ReadonlyMap<string, Batch>): Promise<Batch<Float32Array>>;
}

/**
 * Loads `graph` (a serialized ONNX model) with the weights of `checkpoint` into ONNX Runtime, on the CPU. The weights
 * are mapped from the checkpoint's own files. Loading and running block the thread, so call this on a worker's.
 */
export async function openSession(graph: Uint8Array, checkpoint: Checkpoint): Promise<EvaluationSession> {
  const { model, folder } = bindWeights(graph, checkpoint);
  const session = await load(model, folder, checkpoint.directory);
  const [output = ""] = session.outputNames;
  return {
    inputs: session.inputNames,
    async run(inputs) {
      const feeds = Object.fromEntries([...inputs].map(([name, batch]) => [name, toTensor(batch)]));
      const { [output]: result } = await session.run(feeds, [output]);
      const values = result?.data;
      if (!(values instanceof Float32Array)) {
        throw new AmalgamError("checkpoint_mismatch", `Cannot score output ${quote(output)}: it is not of FLOAT`);
      }
      return { values, shape: result?.dims ?? [] };
    },
    [Symbol.asyncDispose]: () => session.release(),
  };
}

async function load(model: Uint8Array, folder: string, checkpoint: string): Promise<InferenceSession> {
  // It would print warnings about the machine, such as that it has no GPU.
  env.logLevel = "error";
  try {
    return await InferenceSession.create(model, {
      executionProviders: ["cpu"],
      // The arena keeps a copy of every weight that was cast, and more at each run.
      enableCpuMemArena: false,
      // Errors are thrown; without this they are printed as well.
      logSeverityLevel: 4,
      extra: {
        session: {
          model_external_initializers_file_folder_path: folder,
          // Threads that wait for one another by spinning take the cores from whatever else the machine does.
          intra_op: { allow_spinning: "0" },
        },
      },
    });
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    const message = `Cannot load the graph with checkpoint ${quote(checkpoint)}: ${problem}`;
    throw new AmalgamError("checkpoint_mismatch", message, { cause, details: { checkpoint } });
  }
}

function toTensor({ values, shape }: Batch): Tensor {
  return values instanceof Float32Array ? new Tensor("float32", values, shape) : new Tensor("int64", values, shape);
}
