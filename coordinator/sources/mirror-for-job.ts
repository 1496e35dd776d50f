import { createHash, randomUUID } from "node:crypto";
import { rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { stagesSuffix } from "../assemble/find-stagings.js";
import { removeEmpty } from "../assemble/leftovers.js";
import { stagingRoot } from "../assemble/staging-paths.js";
import type { Planner } from "../plan/planner.js";
import { referencesOf } from "../plan/references.js";
import type { Plan } from "../plan/types.js";
import type { Located, ModelReference, RecipeFile } from "../recipe/recipe.js";
import { type MirrorOptions, type Mirrors, mirrorNodeModels } from "./mirror.js";
import { mirrorRemoteModels, type RemoteMirrorOptions } from "./mirror-remote.js";
import { serverPlaces, withOrigins } from "./origins.js";
import { inRecipe, type OtherPath } from "./other-paths.js";
import { partKey } from "./remote-names.js";

/** What stands for the models of a plan that are not here. */
export interface ReferenceMirrors {
  /** Where a model is mirrored. */
  readonly otherPath: OtherPath;
  /** Where agents find what was mirrored; see {@link Mirrors.files}. */
  readonly files: Mirrors["files"];
  /** Plans over the mirrors: the plan says where its models are from, and a failure names servers and no mirrors. */
  readonly planned: (plan: () => Promise<Plan>) => Promise<Plan>;
  /** Removes what was mirrored: nothing is planned from it any more. */
  remove(): Promise<void>;
}

export interface JobMirrors extends Mirrors {
  /** The same planner for plans over these mirrors. */
  readonly planner: (planner: Planner) => Planner;
  /** Removes what was mirrored: nothing is planned from it any more. */
  remove(): Promise<void>;
}

export interface JobMirrorOptions extends RemoteMirrorOptions {
  /** The cluster's agents, whose models are mirrored, too. @default there is no cluster */
  readonly nodes?: Pick<MirrorOptions, "agents" | "security"> | undefined;
}

/** Mirrors the models of a recipe that are not here: those that only agents have, and those on servers. */
export async function mirrorForJob(recipe: RecipeFile, options: JobMirrorOptions): Promise<JobMirrors> {
  const { nodes, directory, signal } = options;
  const there: Mirrors =
    nodes === undefined
      ? { recipe, files: new Map() }
      : await mirrorNodeModels(recipe, { ...nodes, directory, ...(signal && { signal }) });
  const remote = await mirrorReferences(recipe.stages.flatMap(referencesOf), recipe.file, options);
  return {
    recipe: remote.files.size === 0 ? there.recipe : inRecipe(there.recipe, remote.otherPath),
    files: new Map([...there.files, ...remote.files]),
    planner: (planner) => (file, options) => remote.planned(() => planner(file, options)),
    remove: () => remote.remove(),
  };
}

/** Mirrors the models on servers among those that `file` refers to. */
export async function mirrorReferences(
  references: readonly Located<ModelReference>[],
  file: string,
  options: RemoteMirrorOptions,
): Promise<ReferenceMirrors> {
  const { directory, isBegun, isTriedAgain = false } = options;
  const byPart = await mirrorRemoteModels(references, file, options).catch(async (reason: unknown) => {
    // There is no work for another attempt to go on from.
    if (!isBegun && !(isTriedAgain && AmalgamError.from(reason).retryable)) await removeMirrors(directory);
    throw reason;
  });
  const mirrors = [...byPart.values()];
  return {
    otherPath: (part) => byPart.get(partKey(part))?.path,
    files: serverPlaces(mirrors),
    planned: (plan) => withOrigins(plan, mirrors),
    remove: () => removeMirrors(directory),
  };
}

/** Beside the output, the same for every attempt at a recipe, and no other's: each removes its own. */
export function mirrorDirectory({ file, text }: Pick<RecipeFile, "file" | "text">, output: string): string {
  const name = createHash("sha256")
    .update(`${resolve(file)}\n${text}`)
    .digest("hex")
    .slice(0, 16);
  return join(`${output}${stagesSuffix}`, "nodes", name);
}

/** For a plan that nobody carries out. */
export function passingMirrorDirectory(): string {
  return join(tmpdir(), `amalgam-plan-${randomUUID()}`, "nodes", "plan");
}

/** Whether there is work beside an output that another run goes on from. */
export function hasStaged(output: string): Promise<boolean> {
  return stat(stagingRoot(resolve(output))).then(
    () => true,
    () => false,
  );
}

/** And the folders above them, where nobody has any more. */
export async function removeMirrors(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  const nodes = dirname(directory);
  await removeEmpty(nodes);
  await removeEmpty(dirname(nodes));
}
