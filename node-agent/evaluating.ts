import { Evaluations } from "./evaluate/evaluations.js";
import type { WorkerPool } from "./pool.js";
import type { CompleteSettings } from "./settings.js";
import { placeForTrials } from "./trials/scratch.js";
import { Trials } from "./trials/trials.js";

/** What of an agent runs models. */
export interface Evaluating {
  readonly evaluations: Evaluations;
  /** Undefined: it was told to run none, or there is no memory for them. */
  readonly trials: Trials | undefined;
}

/** `roots`: folders, resolved. `entry`: see `EvaluationsOptions`. */
export async function startEvaluating(
  settings: CompleteSettings,
  {
    pool,
    roots,
    entry,
  }: { readonly pool: WorkerPool; readonly roots: readonly string[]; readonly entry: URL | undefined },
): Promise<Evaluating> {
  const { providers, evalThreads: threads, evalMemoryBytes: memoryBytes } = settings;
  const evaluations = new Evaluations({
    settings: { roots, providers, threads, memoryBytes },
    ...(entry === undefined ? {} : { entry }),
  });
  const place = await placeForTrials(settings);
  return { evaluations, trials: place && new Trials({ pool, evaluations, place }) };
}
