import { quote } from "../../shared/quote.js";
import { nameBehindLayers, nameInLayer } from "../architecture/architecture.js";
import type { Complaints } from "../recipe/complaints.js";
import type { Position, Recipe } from "../recipe/recipe.js";
import type { LayerPosition } from "../recipe/resolve.js";
import { didYouMeanOrOneOf } from "../recipe/wording.js";
import { nameIn } from "./aliases.js";
import { type LayerIndex, layerIndexOf } from "./layer-index.js";
import type { PlacedSlice } from "./references.js";
import type { StageModel } from "./stage-model.js";

/** A slice with its models found. */
export interface SliceModels extends PlacedSlice {
  /** The sources in order, and under `models` the base last if it is not among them. */
  readonly members: readonly SliceMember[];
  /** The base's place among them. */
  readonly baseMember: number | undefined;
}

export interface SliceMember {
  readonly model: StageModel;
  /** Where the recipe lists it. */
  readonly at: Position;
  /** The first layer that it gives. */
  readonly firstLayer: number;
  readonly layers: { readonly value: readonly [number, number]; readonly at: Position } | undefined;
}

/** An output tensor, by name: what of each member becomes it. */
export interface OutlinedTensor {
  readonly name: string;
  readonly slice: SliceModels;
  /** The tensor's name in each of the slice's members; undefined where it is the output's own in all of them. */
  readonly inputs: readonly string[] | undefined;
  readonly layer: LayerPosition | undefined;
  /** Taken from the template as it is, whatever the method. */
  readonly isCopied: boolean;
}

export interface Outline {
  readonly tensors: readonly OutlinedTensor[];
  /** By module of the architecture: for every layer of the output, the layer of the template that it came from. */
  readonly layers: readonly (readonly number[])[];
  readonly warnings: readonly string[];
}

/**
 * Names every tensor of the output. What a slice has is what its template has, the base if it is one of the slice's
 * models, else the first. Embeddings and the like come from the first slice of a module, the final norm and the head
 * from the last one, as in mergekit.
 */
export function outline(recipe: Recipe, slices: readonly SliceModels[], complaints: Complaints): Outline {
  const [first] = slices;
  if (first === undefined) return { tensors: [], layers: [], warnings: [] };
  const { architecture } = templateOf(first).model;
  if (first.form === "models" && recipe.modules.every(({ name }) => name === undefined)) {
    assertEqualDepth(first, complaints);
    const layers = architecture.modules.map(({ layers }) => Array.from({ length: layers }, (_, layer) => layer));
    return { tensors: wholeModels(first), layers, warnings: [] };
  }
  return new SlicedOutline(recipe, slices, complaints).build();
}

/** The member whose tensors a slice has: the base if it is one of the members, else the first. */
export function templateOf({ members, baseMember }: SliceModels): SliceMember {
  const member = members[baseMember ?? 0];
  if (member === undefined) throw new RangeError("A slice needs a model");
  return member;
}

/** All tensors of the template under their own names, in file order, so that sources are read from front to back. */
function wholeModels(slice: SliceModels): readonly OutlinedTensor[] {
  const { model } = templateOf(slice);
  const { architecture } = model;
  // One object for all tensors of a layer.
  const positions = architecture.modules.map(({ layers: count }) =>
    Array.from({ length: count }, (_, index): LayerPosition => ({ index, count })),
  );
  return namesWithTies(slice, model.names()).map((name) => {
    const { module, layer: index } = architecture.place(name);
    const layer = index === undefined ? undefined : positions[module]?.[index];
    return { name, slice, inputs: undefined, layer, isCopied: false };
  });
}

/**
 * A head that the template shares with its embedding is a tensor of its own in the output as soon as one of the other
 * models has one of its own (mergekit, pull request 464).
 */
function namesWithTies(slice: SliceModels, names: Iterable<string>): readonly string[] {
  const own = [...names];
  const template = templateOf(slice).model;
  const added = template.architecture.ties.flatMap((tied) => {
    if (!tied.some((name) => template.tensor(name) !== undefined)) return [];
    return tied.filter(
      (name) =>
        template.tensor(name) === undefined && slice.members.some(({ model }) => model.tensor(name) !== undefined),
    );
  });
  return [...own, ...added];
}

function assertEqualDepth(slice: SliceModels, complaints: Complaints): void {
  const template = templateOf(slice);
  for (const { model, at } of slice.members) {
    template.model.architecture.modules.forEach(({ name, layers }, module) => {
      const found = model.architecture.modules.find((other, i) => other.name === name || i === module)?.layers;
      if (found === undefined || found === 0 || layers === 0 || found === layers) return;
      const counts = `${quote(template.model.name)} has ${layers} layers and ${quote(model.name)} has ${found}`;
      complaints.add(at, `Cannot merge models of different depth: ${counts}; choose layers with "slices"`);
    });
  }
}

class SlicedOutline {
  readonly #recipe: Recipe;
  readonly #slices: readonly SliceModels[];
  readonly #complaints: Complaints;
  readonly #tensors: OutlinedTensor[] = [];
  readonly #layers: number[][];
  readonly #warnings: string[] = [];

  constructor(recipe: Recipe, slices: readonly SliceModels[], complaints: Complaints) {
    this.#recipe = recipe;
    this.#slices = slices;
    this.#complaints = complaints;
    const [first] = slices;
    const modules = first === undefined ? [] : templateOf(first).model.architecture.modules;
    this.#layers = modules.map(({ layers }) => Array.from({ length: layers }, (_, layer) => layer));
  }

  build(): Outline {
    const named = new Set<number>();
    this.#recipe.modules.forEach((_, place) => {
      const module = this.#architectureModule(place);
      if (module === undefined) return;
      named.add(module);
      this.#layers[module] = [];
      const slices = this.#slices.filter((slice) => slice.module === place);
      const [first, last] = [slices[0], slices.at(-1)];
      if (first === undefined || last === undefined) return;
      this.#outside(first, module, "before");
      for (const slice of slices) this.#slice(slice, module);
      this.#outside(last, module, "after");
    });
    if (named.size > 0) this.#copyOthers(named);
    return { tensors: this.#tensors, layers: this.#layers, warnings: this.#warnings };
  }

  /** Which of the architecture's modules a module of the recipe is. */
  #architectureModule(place: number): number | undefined {
    const { name } = this.#recipe.modules[place] ?? {};
    const slice = this.#slices.find(({ module }) => module === place);
    if (slice === undefined) return undefined;
    const { modules } = templateOf(slice).model.architecture;
    const names = modules.map((module) => module.name);
    if (name === undefined) {
      if (modules.length === 1) return 0;
      const remedy = `say which under "modules": ${names.map((each) => quote(each)).join(", ")}`;
      return this.#complaints.add(slice.definition.at, `The models have ${modules.length} stacks of layers: ${remedy}`);
    }
    const found = names.indexOf(name.value);
    if (found >= 0) return found;
    return this.#complaints.add(name.at, `Unknown module ${quote(name.value)}${didYouMeanOrOneOf(name.value, names)}`);
  }

  #outside(slice: SliceModels, module: number, part: "before" | "after"): void {
    const index = this.#index(slice, module);
    const names = part === "before" ? index.before : index.after;
    const ties = part === "after" ? namesWithTies(slice, []) : [];
    const { architecture } = templateOf(slice).model;
    const layers = this.#layers[module]?.length ?? 0;
    for (const name of [...names, ...ties]) {
      const inputOf = ({ model }: SliceMember): string => {
        return nameBehindLayers(architecture, name, model.architecture.modules[module]?.layers ?? layers);
      };
      const output = part === "before" ? name : nameBehindLayers(architecture, name, layers);
      this.#add(output, slice, inputOf, undefined);
    }
  }

  #slice(slice: SliceModels, module: number): void {
    const template = templateOf(slice);
    const { architecture } = template.model;
    const index = this.#index(slice, module);
    const [begin, end] = template.layers?.value ?? [0, architecture.modules[module]?.layers ?? 0];
    if (!this.#holdsLayers(slice, module)) return;
    const output = this.#layers[module] ?? [];
    const count = end - begin;
    for (let k = 0; k < count; k += 1) {
      const layer = output.length;
      for (const name of index.layers[begin + k] ?? []) {
        const inputOf = (member: SliceMember): string => nameInLayer(architecture, name, member.firstLayer + k);
        this.#add(nameInLayer(architecture, name, layer), slice, inputOf, { index: k, count });
      }
      output.push(begin + k);
    }
  }

  /** Complains of every source that has fewer layers than the recipe asks of it. */
  #holdsLayers(slice: SliceModels, module: number): boolean {
    let holds = true;
    for (const { model, layers } of slice.members) {
      const available = model.architecture.modules[module]?.layers ?? 0;
      if (layers === undefined || layers.value[1] <= available) continue;
      holds = false;
      const [begin, end] = layers.value;
      this.#complaints.add(
        layers.at,
        `Layers [${begin}, ${end}) are out of bounds: ${quote(model.name)} has ${available} layers, 0 to ${available - 1}`,
      );
    }
    return holds;
  }

  /** A recipe may name some of a model's modules; the others are taken over as they are, or the model would be a torso. */
  #copyOthers(named: ReadonlySet<number>): void {
    const [first] = this.#slices;
    if (first === undefined) return;
    const template = templateOf(first);
    const { modules } = template.model.architecture;
    modules.forEach(({ name }, module) => {
      if (named.has(module)) return;
      const index = layerIndexOf(template.model, module);
      const names = [...index.before, ...index.layers.flat(), ...index.after];
      for (const tensor of names) {
        this.#tensors.push({ name: tensor, slice: first, inputs: undefined, layer: undefined, isCopied: true });
      }
      if (names.length > 0) {
        this.#warnings.push(
          `Module ${quote(name)} is copied from ${quote(template.model.name)}: the recipe does not mention it`,
        );
      }
    });
  }

  #index(slice: SliceModels, module: number): LayerIndex {
    return layerIndexOf(templateOf(slice).model, module);
  }

  #add(
    name: string,
    slice: SliceModels,
    inputOf: (member: SliceMember) => string,
    layer: LayerPosition | undefined,
  ): void {
    const [first = slice] = this.#slices;
    const output = nameIn(templateOf(first).model.architecture, templateOf(slice).model.architecture, name);
    this.#tensors.push({ name: output, slice, inputs: slice.members.map(inputOf), layer, isCopied: false });
  }
}
