import { join } from "node:path";
import { mapBounded } from "../../../shared/checkpoint/bounded.js";
import { openCheckpoint } from "../../../shared/checkpoint/open.js";
import { AmalgamError } from "../../../shared/errors.js";
import { isRemote } from "../../../shared/remote/url.js";
import type { Manifest } from "../../assemble/manifest.js";
import type { JobResult, LocalAgentsWanted, PlanRun } from "../../job.js";
import { runRecipe } from "../../job.js";
import { openAdapter } from "../../lora/adapter.js";
import { describeSource } from "../../lora/adapter-manifest.js";
import { extractLora } from "../../lora/extract.js";
import { mergeAdapters } from "../../lora/merge-adapters.js";
import { readExpression } from "../../lora/module-filter.js";
import { inMoeConfig, moeReferences } from "../../moe/config.js";
import { parseMoeConfig } from "../../moe/read-config.js";
import { runMoe } from "../../moe/run-moe.js";
import { methodOf } from "../../plan/check-method.js";
import { type OpenModel, openModels } from "../../plan/open-models.js";
import { type Planner, planHere } from "../../plan/planner.js";
import { referencesOf } from "../../plan/references.js";
import type { Plan } from "../../plan/types.js";
import { parseRecipes } from "../../recipe/parse.js";
import type { Located, ModelReference } from "../../recipe/recipe.js";
import { localModel } from "../../sources/local-copies.js";
import { mergeOverMirrors } from "../../sources/mirror-for-merge.js";
import { inRecipe, type OtherPath } from "../../sources/other-paths.js";
import { type NamedPart, partKey, partsOf, writtenPart } from "../../sources/remote-names.js";
import type { SourceFacts } from "../facts.js";
import type { MadeOf } from "../made.js";
import { type Addresses, assertAllowed, assertPinned } from "./addresses.js";
import { assertSameVersions, assertUnchanged, describeOpened } from "./check-sources.js";
import { findNamed, readPlaces } from "./places.js";

/** Adapters looked at at once. */
const concurrency = 8;

/** A manifest, and where its models are now. */
export interface Original {
  readonly manifest: Manifest;
  /** Models are looked for from there on, and then in the current folder. */
  readonly folder: string;
  /** Where the manifest lies, and perhaps the output. */
  readonly output: string;
  /** `NAME=PATH` words; see {@link readPlaces}. */
  readonly places: readonly string[];
  readonly addresses: Addresses;
}

/** What agents an adapter is made with, and where. */
export interface AdapterRun {
  readonly output: string;
  readonly agents: LocalAgentsWanted;
  readonly signal?: AbortSignal | undefined;
}

/** What the recipe of a manifest is called in messages. Its folder is where it looks for models. */
function recipeFile({ folder }: Original): string {
  return join(folder, "amalgam.json, recipe");
}

/** Everything that the manifest knows of sources, those of documents that were merged by themselves first included. */
function knownSources({ models, stages = [] }: Manifest): readonly SourceFacts[] {
  return [...models, ...stages.flatMap((stage) => stage.models)];
}

/**
 * Where each part of the recipe's references is now: where the user says, or else at the pinned address that it was found
 * at, or else where it is written. Addresses that the user did not name must be allowed.
 */
function otherPath(references: readonly Located<ModelReference>[], original: Original): OtherPath {
  const { manifest, places, addresses } = original;
  const parts = references.flatMap(({ value }) => partsOf(value).map(([, part]) => part));
  const named = readPlaces(places, new Set(parts.flatMap((part) => [part.path, writtenPart(part)])));
  const origins = new Map<string, string>();
  for (const { value } of references) {
    const origin = knownSources(manifest).find(({ name }) => name === value.text)?.origin;
    if (origin === undefined) continue;
    assertPinned(origin, value);
    origins.set(partKey(value), origin);
  }
  const userPath = (part: NamedPart): string | undefined => named.get(writtenPart(part)) ?? named.get(part.path);
  const own = parts.filter((part) => userPath(part) === undefined);
  assertAllowed(own.map((part) => origins.get(partKey(part)) ?? part.path).filter(isRemote), addresses);
  return (part) => userPath(part) ?? origins.get(partKey(part));
}

/** A merge, from its recipe. */
export async function mergeAgain(
  original: Original,
  { shardBytes }: MadeOf<"merge">,
  run: PlanRun,
): Promise<JobResult> {
  const started = performance.now();
  const { manifest } = original;
  const parsed = parseRecipes(manifest.recipe.text, recipeFile(original));
  parsed.stages.forEach(methodOf);
  const references = parsed.stages.flatMap(referencesOf).filter(({ value }) => value.stage === undefined);
  const moved = inRecipe(parsed, otherPath(references, original));
  return mergeOverMirrors(moved, run, async ({ recipe, files: mirrors, planner }) => {
    const known = knownSources(manifest);
    const opened = await openModels(recipe).catch(sayHow);
    assertUnchanged(known, await describeOpened(opened, known));
    const checked: Planner = async (file, options) => {
      const plan = await planner(planHere)(file, options);
      assertSameVersions(known, plan);
      return plan;
    };
    const job = { ...run, recipe, shardBytes, mirrors, planner: checked };
    const { tidyUp, ...result } = await runRecipe(job, started);
    await tidyUp();
    return result;
  });
}

/** A mixture of experts, from its config; with the gates that the original has, where it made them of hidden states. */
export async function moeAgain(original: Original, made: MadeOf<"moe">, run: PlanRun): Promise<JobResult> {
  const started = performance.now();
  const { manifest, output: knownGates } = original;
  const { allowIdenticalExperts } = made;
  const parsed = parseMoeConfig(manifest.recipe.text, recipeFile(original), { allowIdenticalExperts });
  const config = inMoeConfig(parsed, otherPath(moeReferences(parsed), original));
  const onOpened = async (models: readonly OpenModel[]): Promise<void> =>
    assertUnchanged(manifest.models, await describeOpened(models, manifest.models));
  const onPlanned = (plan: Plan): void => assertSameVersions(manifest.models, plan);
  return runMoe(config, { ...run, made, knownGates, onOpened, onPlanned }, started).catch(sayHow);
}

/** An adapter that was extracted. */
export async function extractAgain(original: Original, made: MadeOf<"extract-lora">, run: AdapterRun): Promise<void> {
  const { manifest } = original;
  const [model = "", base = ""] = await findAll([made.model, made.base], original, run.signal);
  const facts = { isBase: false, parameters: {} };
  assertUnchanged(manifest.models, [
    await describeSource(made.model, await openCheckpoint(model), facts),
    await describeSource(made.base, await openCheckpoint(base), facts),
  ]);
  const { maxRank, epsilon, distributeScale, dtype, embedLora, saveModules, skipUndecomposable } = made;
  await extractLora({
    ...run,
    ...{ model, base, names: { model: made.model, base: made.base }, maxRank, epsilon, distributeScale, dtype },
    options: {
      ...{ embedLora, saveModules, skipUndecomposable },
      include: made.include.map(readExpression),
      exclude: made.exclude.map(readExpression),
    },
  });
}

/** An adapter that was merged from others. */
export async function mergeAdaptersAgain(
  original: Original,
  made: MadeOf<"merge-adapters">,
  { output, signal }: Pick<AdapterRun, "output" | "signal">,
): Promise<void> {
  const { manifest } = original;
  const names = made.adapters.map(({ name }) => name);
  const folders = await findAll(names, original, signal);
  const adapters = made.adapters.map((adapter, i) => ({ ...adapter, directory: folders[i] ?? adapter.name }));
  const sources = await mapBounded(adapters, concurrency, async ({ name, directory }) => {
    return describeSource(name, (await openAdapter(directory)).checkpoint, { isBase: false, parameters: {} });
  });
  assertUnchanged(manifest.models, sources);
  const { combination, rank, dtype } = made;
  await mergeAdapters({ adapters, output, combination, rank, dtype, signal });
}

/** Folders of what a command line named. What is on a server is downloaded, as that command does. */
async function findAll(
  names: readonly string[],
  { folder, places, addresses }: Original,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const named = readPlaces(places, new Set(names));
  const own = names.filter((name) => !named.has(name));
  assertAllowed(own.filter(isRemote), addresses);
  const found: string[] = [];
  for (const name of names) {
    const place = named.get(name) ?? name;
    const isThere = isRemote(place);
    found.push(isThere ? (await localModel(place, { signal })).path : await findNamed(name, named, folder));
  }
  return found;
}

/** The same error with what helps where a model is not found. */
function sayHow(reason: unknown): never {
  const error = AmalgamError.from(reason);
  if (error.code !== "recipe_invalid" || !/Cannot find (?:model|LoRA)/.test(error.message)) throw error;
  const hint = "Say where the recipe lay with --recipe-folder, or where a model is with --model NAME=PATH";
  throw new AmalgamError(error.code, `${error.message}\n${hint}`, { cause: error, details: error.details });
}
