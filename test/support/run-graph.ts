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

/** A graph with the weights of a checkpoint, ready to run. */
interface Loaded {
  readonly model: Uint8Array;
  readonly path: string;
  readonly bindings: readonly WeightBinding[];
  readonly session: InferenceSession;
}

/** What was run last, latest first: whoever generates runs a step and a head for each token, and loading takes longest. */
const loaded: Loaded[] = [];
const mostLoaded = 4;
const noBindings: readonly WeightBinding[] = [];

/**
 * Runs a graph without weights, with those of the checkpoint at `path`, and returns all its outputs. The checkpoint must not
 * be written anew meanwhile.
 */
export async function runGraph(
  model: Uint8Array,
  path: string,
  feeds: Readonly<Record<string, Feed>>,
  bindings: readonly WeightBinding[] = noBindings,
): Promise<Readonly<Record<string, GraphOutput>>> {
  const session = await sessionOf(model, path, bindings);
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
}

async function sessionOf(
  model: Uint8Array,
  path: string,
  bindings: readonly WeightBinding[],
): Promise<InferenceSession> {
  const at = loaded.findIndex((one) => one.model === model && one.path === path && one.bindings === bindings);
  const [known] = at < 0 ? [] : loaded.splice(at, 1);
  const one = known ?? { model, path, bindings, session: await load(model, path, bindings) };
  loaded.unshift(one);
  if (loaded.length > mostLoaded) await loaded.pop()?.session.release();
  return one.session;
}

async function load(model: Uint8Array, path: string, bindings: readonly WeightBinding[]): Promise<InferenceSession> {
  const bound = bindWeights(model, await openCheckpoint(path), bindings);
  return await InferenceSession.create(bound.model, {
    enableCpuMemArena: false,
    // Threads would take longer to start than these graphs to run.
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
    extra: { session: { model_external_initializers_file_folder_path: bound.folder } },
  });
}
