import type { ComputableDtype } from "../../shared/checkpoint/dtypes.js";
import type { MadeOf } from "../provenance/made.js";
import type { Combination } from "./combine.js";

export interface MergeAdaptersJob {
  /** `name`: what card and manifest call it. Default: by its folder. */
  readonly adapters: readonly { readonly directory: string; readonly name?: string; readonly weight: number }[];
  readonly output: string;
  readonly combination: Combination;
  /** For `svd`. Default: the largest rank of the adapters, as in PEFT. */
  readonly rank?: number | undefined;
  readonly dtype: ComputableDtype;
  readonly signal?: AbortSignal | undefined;
}

/** What card and manifest call an adapter of the job. */
export function nameOf({ adapters }: MergeAdaptersJob, place: number): string {
  const { name, directory } = adapters[place] ?? { directory: "" };
  return name ?? directory;
}

/** The job as a manifest has it. */
export function madeOf(job: MergeAdaptersJob): MadeOf<"merge-adapters"> {
  const { combination, rank, dtype } = job;
  const adapters = job.adapters.map(({ weight }, place) => ({ name: nameOf(job, place), weight }));
  return { kind: "merge-adapters", adapters, combination, ...(rank === undefined ? {} : { rank }), dtype };
}
