import { createHash } from "node:crypto";
import type { InferenceSession } from "onnxruntime-node";
import { formatBytes } from "../../../shared/bytes.js";
import type { Checkpoint } from "../../../shared/checkpoint/open.js";
import { AmalgamError } from "../../../shared/errors.js";
import type { EvaluationGraph } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { bindWeights } from "../../../shared/onnx/bind-weights.js";
import { quote } from "../../../shared/quote.js";
import type { Provider } from "../providers.js";
import { freeMemory } from "./free-memory.js";
import type { ProcessSettings } from "./protocol.js";
import { load } from "./runtime.js";
import { surveyWeights, type WeightSurvey } from "./weights.js";

/** A graph with a checkpoint's weights under it, ready to run. */
export interface LoadedGraph {
  readonly session: InferenceSession;
  readonly provider: Provider;
  readonly fallback: string;
  readonly weights: WeightSurvey;
  /** Of the checkpoint, for messages. */
  readonly checkpoint: string;
}

export interface WantedGraphs {
  readonly checkpoint: Checkpoint;
  /** Names the checkpoint's files as they are now. */
  readonly identity: string;
  /** The checkpoint's files are memory that others account for. @default false */
  readonly isInMemory?: boolean;
  readonly graphs: readonly EvaluationGraph[];
  /** 0: the agent's own number. */
  readonly threads: number;
  /** Whether widening the weights at every run would show: the role is run often, or its runs are short. */
  readonly widensOnce: (role: string, weights: WeightSurvey) => boolean;
  /** What the largest batch takes besides the weights, by the graph's role and what its weights are like. */
  readonly batchBytes: (role: string, weights: WeightSurvey) => number;
}

export interface LoadedGraphs {
  /** By role. */
  readonly graphs: ReadonlyMap<string, LoadedGraph>;
  /** Bytes of weights that were loaded now, not before. */
  readonly loadedBytes: number;
}

/** A graph with weights under it, not loaded. */
interface Bound {
  /** Of graph and checkpoint. */
  readonly key: string;
  readonly model: Uint8Array;
  readonly folder: string;
  readonly weights: WeightSurvey;
}

/** In which a graph is to be loaded. */
interface Form {
  readonly role: string;
  readonly bound: Bound;
  readonly widensOnce: boolean;
  /** In the store. */
  readonly key: string;
}

interface Kept extends LoadedGraph {
  readonly bound: Bound;
  /** See {@link WantedGraphs}. */
  readonly identity: string;
  /** What it takes, the checkpoint's files included unless others account for them. */
  readonly bytes: number;
  /** What it holds between runs beside these files. */
  readonly widenedBytes: number;
}

/** Of what is free; the rest is for merges, and for what the estimates forget. */
const defaultShare = 0.8;

/**
 * Loaded graphs, kept from slice to slice: loading is most of the time of a small one. The least recently used go when
 * another model's arrival needs their memory.
 */
export class SessionStore {
  readonly #settings: ProcessSettings;
  readonly #freeBytes: () => number;
  /** By what they were made of; the least recently used first. */
  readonly #kept = new Map<string, Kept>();

  /** `freeBytes`: what the machine has left. */
  constructor(settings: ProcessSettings, freeBytes: () => number = freeMemory) {
    this.#settings = settings;
    this.#freeBytes = freeBytes;
  }

  /** What sessions and batches may take. Asked for every slice: a process lives for days, and its machine has other work. */
  #budget(): number {
    const widened = sum([...this.#kept.values()], ({ widenedBytes }) => widenedBytes);
    return this.#settings.memoryBytes ?? Math.floor(defaultShare * (this.#freeBytes() + widened));
  }

  /**
   * Fails with `out_of_memory` when the model cannot fit by itself, with `checkpoint_mismatch` when graph and checkpoint
   * do not belong together.
   */
  async load(wanted: WantedGraphs): Promise<LoadedGraphs> {
    const bounds = new Map(wanted.graphs.map((graph) => [graph.role, this.#bind(graph, wanted)]));
    const batchBytes = Math.max(...[...bounds].map(([role, { weights }]) => wanted.batchBytes(role, weights)));
    const keyOf = ({ key }: Bound, widensOnce: boolean): string => `${key} ${widensOnce} ${wanted.threads}`;
    const formsOf = (mayWiden: boolean): readonly Form[] =>
      [...bounds].map(([role, bound]) => {
        // What is loaded widened stays so.
        const isWorthIt = this.#kept.has(keyOf(bound, true)) || wanted.widensOnce(role, bound.weights);
        const widensOnce = mayWiden && isWorthIt;
        return { role, bound, widensOnce, key: keyOf(bound, widensOnce) };
      });
    const needOf = (forms: readonly Form[]): number =>
      sum(forms, ({ bound, widensOnce }) => bytesOf(bound.weights, widensOnce, wanted)) + batchBytes;
    const budget = this.#budget();
    const widened = formsOf(true);
    const forms = needOf(widened) <= budget ? widened : formsOf(false);
    const need = needOf(forms);
    if (need > budget) throw tooLarge(wanted.checkpoint, need, batchBytes, budget);

    await this.#release(budget - need, new Set(forms.map(({ key }) => key)));
    const graphs = new Map<string, LoadedGraph>();
    let loadedBytes = 0;
    for (const { role, bound, widensOnce, key } of forms) {
      const known = this.#kept.get(key);
      if (known === undefined) loadedBytes += bound.weights.storedBytes;
      const kept = known ?? (await this.#open(bound, wanted, widensOnce));
      this.#kept.delete(key);
      this.#kept.set(key, kept);
      graphs.set(role, kept);
    }
    return { graphs, loadedBytes };
  }

  /** Gives up what is loaded of a checkpoint. */
  async forget(identity: string): Promise<void> {
    for (const [key, kept] of [...this.#kept]) {
      if (kept.identity !== identity) continue;
      this.#kept.delete(key);
      await kept.session.release();
    }
  }

  /** What is loaded is not bound anew. */
  #bind({ model, bindings }: EvaluationGraph, { checkpoint, identity }: WantedGraphs): Bound {
    const digest = createHash("sha256").update(identity).update("\0").update(model);
    const pieces = bindings.map((one) => [one.initializer, one.tensor, one.transposed, one.axis]);
    const key = digest.update(JSON.stringify(pieces)).digest("hex");
    for (const { bound } of this.#kept.values()) if (bound.key === key) return bound;
    const bound = bindWeights(model, checkpoint, bindings);
    return { key, ...bound, weights: surveyWeights(bound.model) };
  }

  /** Until the others, those of `except` aside, take no more than `allowance`. */
  async #release(allowance: number, except: ReadonlySet<string>): Promise<void> {
    const others = [...this.#kept].filter(([key]) => !except.has(key));
    let held = sum(others, ([, { bytes }]) => bytes);
    for (const [key, { session, bytes }] of others) {
      if (held <= allowance) return;
      this.#kept.delete(key);
      held -= bytes;
      await session.release();
    }
  }

  async #open(bound: Bound, wanted: WantedGraphs, widensOnce: boolean): Promise<Kept> {
    const { model, folder, weights } = bound;
    const { directory } = wanted.checkpoint;
    const { providers } = this.#settings;
    const threads = wanted.threads || this.#settings.threads;
    const largestCastBytes = widensOnce ? 0 : weights.largestCastBytes;
    const options = { checkpoint: directory, folder, providers, threads, widensOnce, largestCastBytes };
    const loaded = await load(model, options);
    const widenedBytes = widensOnce ? weights.castBytes : 0;
    const bytes = bytesOf(weights, widensOnce, wanted);
    return { ...loaded, bound, identity: wanted.identity, weights, checkpoint: directory, bytes, widenedBytes };
  }
}

/**
 * Mapped files count too: a model that does not fit would be read from the disk anew for every batch. Weights that are
 * widened at every run are so one after the other, the next perhaps before the last is given back.
 */
function bytesOf(
  { storedBytes, castBytes, largestCastBytes }: WeightSurvey,
  widensOnce: boolean,
  { isInMemory = false }: Pick<WantedGraphs, "isInMemory">,
): number {
  return (isInMemory ? 0 : storedBytes) + (widensOnce ? castBytes : Math.min(castBytes, 2 * largestCastBytes));
}

function tooLarge({ directory }: Checkpoint, need: number, batchBytes: number, budget: number): AmalgamError {
  const parts = `${formatBytes(need - batchBytes)} for its weights and about ${formatBytes(batchBytes)} for a batch`;
  return new AmalgamError(
    "out_of_memory",
    `Cannot evaluate ${quote(directory)}: it needs ${parts}, the agent may use ${formatBytes(budget)}; give it more ("--memory" of eval, "--eval-memory" of an agent), or make batches smaller`,
    { details: { checkpoint: directory, needed: String(need), allowed: String(budget) } },
  );
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
