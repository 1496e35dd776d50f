import { referencesOf } from "../../plan/references.js";
import { Complaints } from "../../recipe/complaints.js";
import type { Fields } from "../../recipe/fields.js";
import { mapModels, modelsOf } from "../../recipe/models.js";
import type { Position, Recipe } from "../../recipe/recipe.js";
import { maxRecipeBytes } from "../../recipe/yaml/limits.js";
import type { YamlNode } from "../../recipe/yaml/node.js";
import { type CopyOptions, copyReferences } from "../../sources/local-copies.js";
import { inReference, type OtherPath } from "../../sources/other-paths.js";
import { type Space, startOf } from "../space.js";
import { checkPlan, checkRecipes } from "./check-recipe.js";
import { planDimensions, readShared, type SharedParameter } from "./dimensions.js";
import { findFolders } from "./model-paths.js";
import { findPlaces, type Place } from "./places.js";
import { modelLookup, modelsNamedIn, openRecipeModels } from "./recipe-models.js";
import { type RecipeSource, readRecipeSource } from "./recipe-source.js";
import type { Slot } from "./slots.js";
import { SweepTemplate } from "./template.js";
import { pathKey, withNodes } from "./tree.js";

/** What a sweep says of its recipe: the space to search, and how a point of it becomes a recipe. */
export interface RecipeSpec {
  readonly template: SweepTemplate;
  readonly space: Space;
  /** The recipe at its start, then at points that together have all values at the ends of ranges, and all choices. */
  readonly recipes: readonly Recipe[];
}

export async function readRecipeSpec(
  fields: Fields,
  sweep: { readonly file: string; readonly text: string },
  complaints: Complaints,
  options: CopyOptions = {},
): Promise<RecipeSpec | undefined> {
  const shared = readShared(fields.mapping("parameters"), complaints);
  const declared = [...(fields.mapping("parameters")?.entries.keys() ?? [])];
  const source = await readRecipeSource(fields, sweep, complaints);
  if (source === undefined) return undefined;
  const { file } = sweep;
  const { places, broken } = findPlaces(source.tree, declared, complaints);
  const tree = withNodes(source.tree, new Map(broken.map(({ path, at }) => [pathKey(path), standIn(at)])));
  // What was complained of is no value, and nothing that follows from that is the author's mistake.
  const heard = new MutedComplaints(file, complaints, [...broken, ...unreadShared(places, shared)]);

  const plain = planDimensions(shared.map(withoutGroups), places.map(withoutGroupsAt), noModel, new Complaints(file));
  const named = checkRecipes(tree, plain.space, plain.slots, file, new Complaints(file));
  const isNeeded = [...shared, ...places.map(ownOf)].some((one) => one?.declaration.grouping !== undefined);
  const home = source.file;
  const references = named.flatMap(referencesOf);
  // A recipe that cannot be read is complained of first: downloads take their time.
  const otherPath = complaints.any ? nowhereElse : await copyReferences(references, file, { ...options, home });
  const here = named.map((recipe) => mapModels(recipe, (model) => inReference(model, otherPath)));
  const models = await openRecipeModels(here, { file, home, isNeeded }, complaints);

  const real = planDimensions(shared, places, modelLookup(named[0], models ?? []), complaints);
  const isWhole = real.slots.length === plain.slots.length;
  const { space, slots } = isWhole ? real : plain;
  const recipes = checkRecipes(tree, space, slots, file, heard);
  const [start] = recipes;
  if (space.length === 0 && !complaints.any) complainNothing(fields, complaints);
  if (start !== undefined && models !== undefined && !complaints.any) {
    checkPlan(start, modelsNamedIn(start, models), complaints);
  }
  const template = await templateOf(source, slots, recipes, otherPath);
  if (!complaints.any) checkSize(template, space, fields, complaints);
  return { template, space, recipes };
}

async function templateOf(
  source: RecipeSource,
  slots: readonly Slot[],
  recipes: readonly Recipe[],
  otherPath: OtherPath,
): Promise<SweepTemplate> {
  const references = recipes.flatMap(modelsOf).map(({ value }) => value);
  return new SweepTemplate(source, slots, recipes, await findFolders(source.file, references), otherPath);
}

const nowhereElse: OtherPath = () => undefined;

/** Many groups make a long recipe, and one beyond the limit could not be read again. */
function checkSize(template: SweepTemplate, space: Space, fields: Fields, complaints: Complaints): void {
  // Values with as many digits as a number has.
  const long = space.map((dimension) => [
    dimension.name,
    dimension.kind === "choice" ? startOf(dimension) : -Math.PI / 10,
  ]);
  const bytes = Buffer.byteLength(template.render(Object.fromEntries(long)));
  if (bytes <= maxRecipeBytes) return;
  const at = fields.entry("recipe")?.keyAt ?? { line: 1, column: 1 };
  const size = `The recipe has up to ${bytes} bytes with its values, more than the limit of ${maxRecipeBytes}`;
  complaints.add(at, `${size}: use fewer groups`);
}

function complainNothing(fields: Fields, complaints: Complaints): void {
  const at = fields.entry("recipe")?.keyAt ?? { line: 1, column: 1 };
  const example = '"{ range: [0, 1] }" or "{ choices: [a, b] }"';
  complaints.add(at, `The recipe has nothing to search: write ${example} in place of a value`);
}

/** Complaints but for those about values that were complained of before. */
class MutedComplaints extends Complaints {
  readonly #heard: Complaints;
  readonly #muted: ReadonlySet<string>;

  constructor(file: string, heard: Complaints, muted: readonly { readonly at: Position }[]) {
    super(file);
    this.#heard = heard;
    this.#muted = new Set(muted.map(({ at }) => placeKey(at)));
  }

  override add(at: Position, message: string): undefined {
    if (!this.#muted.has(placeKey(at))) this.#heard.add(at, message);
    return undefined;
  }
}

function placeKey({ line, column, file = "" }: Position): string {
  return `${line}:${column}:${file}`;
}

function standIn(at: Position): YamlNode {
  return { kind: "scalar", value: 1, at };
}

/** Places of parameters of the sweep that were declared, but wrongly. */
function unreadShared(places: readonly Place[], shared: readonly SharedParameter[]): readonly Place[] {
  const read = new Set(shared.map(({ name }) => name));
  return places.filter(({ value }) => "shared" in value && !read.has(value.shared));
}

const noModel = () => undefined;

function withoutGroups(parameter: SharedParameter): SharedParameter {
  return { ...parameter, declaration: { ...parameter.declaration, grouping: undefined } };
}

function withoutGroupsAt(place: Place): Place {
  if ("shared" in place.value) return place;
  return { ...place, value: { own: { ...place.value.own, grouping: undefined } } };
}

function ownOf({ value }: Place): Pick<SharedParameter, "declaration"> | undefined {
  return "own" in value ? { declaration: value.own } : undefined;
}
