import { InferenceSession, Tensor } from "onnxruntime-node";
import { openCheckpoint } from "../../shared/checkpoint/open.js";
import { bindWeights, type WeightBinding } from "../../shared/onnx/bind-weights.js";

/** Numbers and their shape. `I64` for whole numbers, which is what graphs take. */
export interface Feed {
  readonly type: "F32" | "I64";
  readonly shape: readonly number[];
  readonly values: readonly number[] | Float32Array;
}

export interface GraphOutput {
  readonly shape: readonly number[];
  readonly values: Float32Array | BigInt64Array;
}

/** Runs a graph without weights once, with those of the checkpoint at `path`, and returns all its outputs. */
export async function runGraph(
  model: Uint8Array,
  path: string,
  feeds: Readonly<Record<string, Feed>>,
  bindings: readonly WeightBinding[] = [],
): Promise<Readonly<Record<string, GraphOutput>>> {
  const bound = bindWeights(model, await openCheckpoint(path), bindings);
  const session = await InferenceSession.create(bound.model, {
    enableCpuMemArena: false,
    logSeverityLevel: 4,
    extra: { session: { model_external_initializers_file_folder_path: bound.folder } },
  });
  try {
    const tensors = Object.entries(feeds).map(([name, { type, shape, values }]) => {
      const tensor =
        type === "F32"
          ? new Tensor("float32", Float32Array.from(values), shape)
          : new Tensor("int64", BigInt64Array.from(Array.from(values, BigInt)), shape);
      return [name, tensor] as const;
    });
    const outputs = await session.run(Object.fromEntries(tensors));
    return Object.fromEntries(
      Object.entries(outputs).map(([name, { dims, data }]) => {
        return [name, { shape: dims, values: data as Float32Array | BigInt64Array }];
      }),
    );
  } finally {
    await session.release();
  }
}
