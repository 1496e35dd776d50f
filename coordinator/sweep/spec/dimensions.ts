import { formatCount, quote } from "../../../shared/quote.js";
import type { Complaints } from "../../recipe/complaints.js";
import type { Position } from "../../recipe/recipe.js";
import type { YamlMapping, YamlNode } from "../../recipe/yaml/node.js";
import type { Dimension } from "../space.js";
import { type Declaration, readDeclaration } from "./declaration.js";
import { type GroupedModel, type TensorGroup, tensorGroups } from "./groups.js";
import type { Place } from "./places.js";
import type { Slot } from "./slots.js";

/** The largest models have fewer tensors than this; no search learns much about more dimensions. */
const maxDimensions = 10_000;

/** A parameter of the sweep, which any number of places of the recipe may have. */
export interface SharedParameter {
  readonly name: string;
  readonly nameAt: Position;
  readonly declaration: Declaration;
}

export function readShared(mapping: YamlMapping | undefined, complaints: Complaints): readonly SharedParameter[] {
  return [...(mapping?.entries ?? [])].flatMap(([name, { keyAt, value }]) => {
    if (!/^[A-Za-z_][\w-]*$/.test(name)) {
      complaints.add(keyAt, `Parameter ${quote(name)} must have a name of letters, digits, "_" and "-"`);
    }
    if (value.kind !== "mapping") {
      const example = '"{ range: [0, 1] }" or "{ choices: [a, b] }"';
      complaints.add(value.at, `Parameter ${quote(name)} must be a mapping like ${example}`);
      return [];
    }
    const declaration = readDeclaration(value, complaints);
    if (declaration?.label !== undefined) {
      complaints.add(declaration.label.at, `Parameter ${quote(name)} has a name already: remove "name"`);
    }
    return declaration === undefined ? [] : [{ name, nameAt: keyAt, declaration }];
  });
}

/** The model whose tensors a place's groups are made of; undefined where it could not be opened. */
export type ModelOf = (place: Place) => GroupedModel | undefined;

/** The dimensions of a sweep and where their values go: shared ones first, then as the recipe has them. */
export function planDimensions(
  shared: readonly SharedParameter[],
  places: readonly Place[],
  modelOf: ModelOf,
  complaints: Complaints,
): { readonly space: readonly Dimension[]; readonly slots: readonly Slot[] } {
  const planner = new DimensionPlanner(modelOf, complaints);
  for (const parameter of shared) planner.addShared(parameter, places);
  for (const place of places) planner.addPlace(place);
  return { space: planner.space, slots: planner.slots };
}

/** Dimensions of one declaration: one, or one for each group with the filters that it stands for. */
type Spread = readonly { readonly dimension: Dimension; readonly filters?: TensorGroup["filters"] }[];

class DimensionPlanner {
  readonly space: Dimension[] = [];
  readonly slots: Slot[] = [];
  readonly #modelOf: ModelOf;
  readonly #complaints: Complaints;
  readonly #names = new Set<string>();
  readonly #labels = new Map<string, YamlNode>();
  readonly #shared = new Map<string, Spread>();

  constructor(modelOf: ModelOf, complaints: Complaints) {
    this.#modelOf = modelOf;
    this.#complaints = complaints;
  }

  addShared({ name, nameAt, declaration }: SharedParameter, places: readonly Place[]): void {
    const own = places.filter(({ value }) => "shared" in value && value.shared === name);
    const [first] = own;
    if (first === undefined) {
      this.#complaints.add(nameAt, `Parameter ${quote(name)} is not used: write ${quote(`$${name}`)} in the recipe`);
      return;
    }
    // Places of several models share their groups: those of what the recipe is merged from.
    const whole = own.length === 1 ? first : { ...first, model: undefined, layers: undefined };
    const spread = this.#spread(declaration, name, whole);
    if (spread !== undefined) this.#shared.set(name, spread);
    for (const place of own) this.#checkStanding(declaration, place);
  }

  addPlace(place: Place): void {
    if ("shared" in place.value) {
      this.#fill(place, this.#shared.get(place.value.shared));
      return;
    }
    const { own } = place.value;
    this.#checkLabel(own, place.node);
    if (this.#checkStanding(own, place)) this.#fill(place, this.#spread(own, own.label?.value ?? place.name, place));
  }

  #fill(place: Place, spread: Spread | undefined): void {
    const { path } = place;
    const [first] = spread ?? [];
    if (spread === undefined || first === undefined) return;
    if (first.filters === undefined) {
      this.slots.push({ kind: "value", path, place, dimension: first.dimension });
      return;
    }
    const entries = spread.flatMap(({ dimension, filters = [] }) => filters.map((filter) => ({ filter, dimension })));
    this.slots.push({ kind: "filters", path, place, entries });
  }

  #spread(declaration: Declaration, wanted: string, place: Place): Spread | undefined {
    const { at, label, grouping, ...values } = declaration;
    const name = this.#uniqueName(wanted, grouping === undefined);
    const model = place.model === undefined ? {} : { model: place.model.text };
    if (grouping === undefined) {
      const group = place.filter === undefined || "shared" in place.value ? {} : { group: place.filter };
      return this.#add([{ dimension: { name, ...values, ...model, ...group } }], at);
    }
    const grouped = this.#modelOf(place);
    if (grouped === undefined) return undefined;
    const groups = tensorGroups(grouping, grouped);
    if (typeof groups === "string") return this.#complaints.add(grouping.at, groups);
    return this.#add(
      groups.map(({ name: group, filters }) => {
        const dimension = { name: this.#uniqueName(`${name} ${group}`, true), ...values, ...model, group };
        return { dimension, filters };
      }),
      at,
    );
  }

  #add(spread: Spread, at: Position): Spread | undefined {
    if (this.space.length <= maxDimensions && this.space.length + spread.length > maxDimensions) {
      const limit = `the limit of ${formatCount(maxDimensions)}`;
      this.#complaints.add(at, `The sweep has more dimensions than ${limit}: use fewer groups`);
    }
    this.space.push(...spread.map(({ dimension }) => dimension));
    return spread;
  }

  /** Two values of one name are meant to be one, unless an alias repeats what one anchor says. */
  #checkLabel({ label }: Declaration, node: YamlNode): void {
    if (label === undefined) return;
    const { value, at } = label;
    const first = this.#labels.get(value);
    if (first === undefined) this.#labels.set(value, node);
    else if (first !== node) {
      const remedy = `declare it once under "parameters" and write ${quote(`$${value}`)}`;
      this.#complaints.add(at, `Another value has the name ${quote(value)}, on line ${first.at.line}: ${remedy}`);
    }
  }

  #checkStanding({ grouping }: Declaration, { standing, inSlices, model, at }: Place): boolean {
    if (grouping === undefined) return true;
    const where = grouping.at;
    if (standing === "elsewhere") {
      this.#complaints.add(where, 'Groups are for values under "parameters": nothing else differs between tensors');
    } else if (standing === "within a parameter") {
      this.#complaints.add(
        at,
        "Groups cannot stand in a list of filters or over the layers: give them the whole value",
      );
    } else if (inSlices && model === undefined) {
      this.#complaints.add(
        where,
        "Groups beside slices are for parameters of a source, since the output's layers are other ones",
      );
    } else return true;
    return false;
  }

  #uniqueName(wanted: string, isTaken: boolean): string {
    let name = wanted;
    for (let number = 2; this.#names.has(name); number++) name = `${wanted} ${number}`;
    if (isTaken) this.#names.add(name);
    return name;
  }
}
