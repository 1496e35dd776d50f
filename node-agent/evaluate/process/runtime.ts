import { env, InferenceSession } from "onnxruntime-node";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import type { Provider } from "../providers.js";

export interface LoadOptions {
  /** Messages name it. */
  readonly checkpoint: string;
  /** The folder that the model's external data is relative to. */
  readonly folder: string;
  /** In the order to try them. */
  readonly providers: readonly Provider[];
  readonly threads: number | undefined;
  /**
   * Whether narrow weights are widened once, as the model is loaded, instead of at every run. Of 400 million weights in
   * BF16, on 2 cores: 2.5 s at the load and four bytes a weight; without, 0.2 s at every run.
   */
  readonly widensOnce: boolean;
  /** The largest weight that is widened at every run, in bytes when widened. 0: none is. */
  readonly largestCastBytes: number;
}

export interface Loaded {
  readonly session: InferenceSession;
  readonly provider: Provider;
  /** Why it is not an earlier one of the list. Empty: it is the first. */
  readonly fallback: string;
}

/** Of ONNX Runtime. */
export const runtimeVersion = env.versions.common;

/** Loads a bound model with the first provider that takes it. Blocks the thread. */
export async function load(model: Uint8Array, options: LoadOptions): Promise<Loaded> {
  // It would print warnings about the machine, such as that it has no GPU.
  env.logLevel = "error";
  const failures = new Map<Provider, unknown>();
  const reasons = (): string => [...failures].map(([provider, error]) => `${provider}: ${reasonOf(error)}`).join("; ");
  for (const provider of options.providers) {
    try {
      const session = await InferenceSession.create(model, sessionOptions(provider, options));
      return { session, provider, fallback: reasons() };
    } catch (error) {
      failures.set(provider, error);
    }
  }
  const { checkpoint } = options;
  const act = `Cannot load the graph with checkpoint ${quote(checkpoint)}`;
  // The processor takes every model that is sound; other providers may be missing, or too small.
  if (failures.has("cpu")) throw runtimeError(act, failures.get("cpu"), checkpoint);
  throw new AmalgamError("io_failed", `${act}: ${reasons()}`, { details: { checkpoint } });
}

/** What ONNX Runtime throws has no code; its text says whether memory ran out or the parts do not fit one another. */
export function runtimeError(act: string, cause: unknown, checkpoint: string): AmalgamError {
  const reason = reasonOf(cause);
  const isMemory = /bad_alloc|fail(?:ed|ure) to allocate|out of memory|bad array new length|cannot allocate/i.test(
    reason,
  );
  const code = isMemory ? "out_of_memory" : "checkpoint_mismatch";
  return new AmalgamError(code, `${act}: ${reason}`, { cause, details: { checkpoint } });
}

/**
 * The arena keeps what it once gave, so that small tensors find their place again: SmolLM2-135M in BF16 peaked at 557 MiB
 * with it, at 1,476 without. It never gives back what a large weight took when it was widened: a model of 1 GB peaked at
 * 1,638 MiB with it, at 1,382 without.
 */
const arenaCastBytes = 32 * 2 ** 20;

function sessionOptions(provider: Provider, { folder, threads, widensOnce, largestCastBytes }: LoadOptions) {
  return {
    executionProviders: [provider],
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    enableCpuMemArena: largestCastBytes < arenaCastBytes,
    // A plan is kept for every shape that was ever run, and batches have many.
    enableMemPattern: false,
    // Errors are thrown; without this they are printed as well.
    logSeverityLevel: 4,
    extra: {
      session: {
        model_external_initializers_file_folder_path: folder,
        // Threads that wait for one another by spinning take the cores from whatever else the machine does.
        intra_op: { allow_spinning: "0" },
        // A packed copy of 1.6 GB of weights took 1.5 s to make, and runs were no faster for it.
        disable_prepacking: "1",
      },
      ...(widensOnce ? {} : { optimization: { disable_specified_optimizers: "ConstantFolding" } }),
    },
  } satisfies InferenceSession.SessionOptions;
}

/** Some reasons come with the source line and the whole function that gave up; the end says why. */
const maxReason = 300;

/** One line, without the full stop. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = text.replaceAll(/\s+/g, " ").trim().replace(/\.$/, "");
  return line.length <= maxReason ? line : `…${line.slice(-maxReason)}`;
}
