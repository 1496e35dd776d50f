import { resolve } from "node:path";
import type { PlanRun } from "../job/types.js";
import type { Located, ModelReference, RecipeFile } from "../recipe/recipe.js";
import {
  hasStaged,
  type JobMirrors,
  mirrorDirectory,
  mirrorForJob,
  mirrorReferences,
  passingMirrorDirectory,
  type ReferenceMirrors,
} from "./mirror-for-job.js";
import type { RemoteMirrorOptions } from "./mirror-remote.js";
import { remoteAccess } from "./remote-access.js";

/** What decides how a merge comes to its models. */
export type MergeRun = Pick<PlanRun, "output" | "agents" | "overwrite" | "signal">;

/** Merges over mirrors of the recipe's models that are on servers. */
export async function mergeOverMirrors<T>(
  recipe: RecipeFile,
  run: MergeRun,
  merge: (mirrors: JobMirrors) => Promise<T>,
): Promise<T> {
  return removing(run, await mirrorForJob(recipe, await accessForMerge(recipe, run)), merge);
}

/** The same for what is planned of other references than a recipe's; `file` is the one that has them. */
export async function withMirrors<T>(
  file: Pick<RecipeFile, "file" | "text">,
  references: readonly Located<ModelReference>[],
  run: MergeRun,
  merge: (mirrors: ReferenceMirrors) => Promise<T>,
): Promise<T> {
  return removing(run, await mirrorReferences(references, file.file, await accessForMerge(file, run)), merge);
}

/** What was found on servers is of use to a run that goes on from this one's work, and to nobody else. */
async function removing<M extends { remove(): Promise<void> }, T>(
  { output }: MergeRun,
  mirrors: M,
  merge: (mirrors: M) => Promise<T>,
): Promise<T> {
  try {
    return await merge(mirrors);
  } finally {
    if (!(await hasStaged(output))) await mirrors.remove();
  }
}

/** For a plan that nobody carries out. */
export function mirrorForPlan(recipe: RecipeFile, signal: AbortSignal): Promise<JobMirrors> {
  return mirrorForJob(recipe, accessForPlan(signal));
}

/**
 * Mirrors beside the output: a merge that was interrupted goes on with the models that it began with, or not at all. With
 * `overwrite` it takes what there is now.
 */
async function accessForMerge(
  recipe: Pick<RecipeFile, "file" | "text">,
  { output, agents, overwrite, signal }: MergeRun,
): Promise<RemoteMirrorOptions> {
  return {
    ...remoteAccess({ mayUseCache: agents.kind === "local" }),
    directory: mirrorDirectory(recipe, resolve(output)),
    isBegun: !overwrite && (await hasStaged(output)),
    signal,
  };
}

export function accessForPlan(signal: AbortSignal): RemoteMirrorOptions {
  return { ...remoteAccess({ mayUseCache: true }), directory: passingMirrorDirectory(), isBegun: false, signal };
}
