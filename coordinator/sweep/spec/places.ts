import { quote } from "../../../shared/quote.js";
import { Complaints } from "../../recipe/complaints.js";
import { Fields } from "../../recipe/fields.js";
import type { ModelReference, Position } from "../../recipe/recipe.js";
import { readModelReference } from "../../recipe/reference.js";
import { didYouMeanOrOneOf } from "../../recipe/wording.js";
import { numberOf, type YamlMapping, type YamlNode } from "../../recipe/yaml/node.js";
import { type Declaration, isDeclaration, readDeclaration } from "./declaration.js";
import { nodeAt, type Path } from "./tree.js";

/** Where a recipe has a value that is searched for. */
export interface Place {
  readonly path: Path;
  readonly at: Position;
  /** As people call it: "rotated weight", "t self_attn". */
  readonly name: string;
  /** The model whose parameter it is. */
  readonly model: ModelReference | undefined;
  /** The layers [first, end) that the recipe takes of that model; undefined: all. */
  readonly layers: readonly [first: number, end: number] | undefined;
  /** The filter that it stands under. */
  readonly filter: string | undefined;
  /** Nothing but a filter list may take its place. */
  readonly standing: "parameter" | "within a parameter" | "elsewhere";
  /** In slices, where layers of the output are numbered anew. */
  readonly inSlices: boolean;
  readonly value: { readonly shared: string } | { readonly own: Declaration };
  /** The mapping that declares it: the same for all aliases of an anchor. */
  readonly node: YamlNode;
}

/** `$density` stands for the parameter of the sweep of that name. */
const sharedName = /^\$([A-Za-z_][\w-]*)$/;

/** Mappings whose keys are names from outside, of which "range" may be one. */
const named = new Set(["parameters", "modules", "tokens"]);

/** A place whose value was complained of. */
export type BrokenPlace = Pick<Place, "path" | "at">;

/** Every place in a recipe, in its order. `shared`: the parameters of the sweep. */
export function findPlaces(
  recipe: YamlNode,
  shared: readonly string[],
  complaints: Complaints,
): { readonly places: readonly Place[]; readonly broken: readonly BrokenPlace[] } {
  const places: Place[] = [];
  const broken: BrokenPlace[] = [];
  // Aliases of an anchor are one node, whose mistakes are told once.
  const declarations = new Map<YamlNode, Declaration | undefined>();
  visit(recipe, []);
  return { places, broken };

  function visit(node: YamlNode, path: Path): void {
    const declared = declarationAt(node, path);
    if (declared !== undefined) {
      const declaration = declarations.has(declared)
        ? declarations.get(declared)
        : readDeclaration(declared, complaints);
      declarations.set(declared, declaration);
      if (declaration === undefined) broken.push({ path, at: node.at });
      else places.push(placeAt(recipe, path, node, { own: declaration }));
    } else if (node.kind === "mapping") {
      for (const [key, { value }] of node.entries) visit(value, [...path, key]);
    } else if (node.kind === "list") {
      for (const [index, item] of node.items.entries()) visit(item, [...path, index]);
    } else if (typeof node.value === "string") {
      const [, name] = sharedName.exec(node.value) ?? [];
      if (name === undefined) return;
      if (shared.includes(name)) places.push(placeAt(recipe, path, node, { shared: name }));
      else {
        complainUnknown(name, node.at);
        broken.push({ path, at: node.at });
      }
    }
  }

  function complainUnknown(name: string, at: Position): void {
    const remedy =
      shared.length === 0 ? ', declare it under "parameters" of the sweep' : didYouMeanOrOneOf(name, shared);
    complaints.add(at, `Unknown parameter ${quote(`$${name}`)} of the sweep${remedy}`);
  }
}

function declarationAt(node: YamlNode, path: Path): YamlMapping | undefined {
  if (node.kind !== "mapping" || named.has(String(path.at(-1)))) return undefined;
  if (isDeclaration(node)) return node;
  // A parameter's value is no other mapping than a filter: it is a misspelt one of ours.
  const isValue = path.at(-2) === "parameters" && path.length >= 2;
  return isValue && !node.entries.has("value") && !node.entries.has("filter") ? node : undefined;
}

function placeAt(recipe: YamlNode, path: Path, node: YamlNode, value: Place["value"]): Place {
  const start = path.lastIndexOf("parameters");
  const inSlices = path.includes("slices");
  if (start < 0 || start + 1 >= path.length) {
    const name = String(path.findLast((key) => typeof key === "string") ?? "");
    const common = { path, at: node.at, name, model: undefined, layers: undefined, filter: undefined };
    return { ...common, standing: "elsewhere", inSlices, value, node };
  }
  const owner = nodeAt(recipe, path.slice(0, start));
  const parameter = String(path[start + 1]);
  const inside = path.slice(start + 2);
  const model = owner?.kind === "mapping" ? modelOf(owner) : undefined;
  const filter = filterOf(recipe, path.slice(0, start + 2), inside);
  const number = numberInGradient(inside);
  const words = [model && shortName(model), parameter, filter, number].filter((word) => word !== undefined);
  return {
    ...{ path, at: node.at, name: words.join(" "), model, filter, inSlices, value, node },
    layers: owner?.kind === "mapping" ? layersOf(owner) : undefined,
    standing: inside.length === 0 ? "parameter" : "within a parameter",
  };
}

/** As tables call a model: the last part of its path, or of its LoRA's. */
export function shortName({ path, lora }: ModelReference): string {
  const whole = (lora?.path ?? path).replace(/\/+$/, "");
  return whole.slice(whole.lastIndexOf("/") + 1);
}

function modelOf(owner: YamlMapping): ModelReference | undefined {
  if (!owner.entries.has("model")) return undefined;
  // What is wrong with it is told when the recipe is read.
  const unheard = new Complaints("");
  return readModelReference(new Fields(owner, unheard), "model", unheard)?.value;
}

function layersOf(owner: YamlMapping): readonly [number, number] | undefined {
  const range = owner.entries.get("layer_range")?.value;
  const [first, end] = range?.kind === "list" ? range.items.map(numberOf) : [];
  return first === undefined || end === undefined ? undefined : [first, end];
}

/** The filter of a filter list's entry; "other" for the one without, which takes what is left. */
function filterOf(recipe: YamlNode, parameter: Path, inside: Path): string | undefined {
  const [index] = inside;
  const entry = nodeAt(recipe, typeof index === "number" ? [...parameter, index] : parameter);
  if (inside.length === 0 || entry?.kind !== "mapping" || !entry.entries.has("value")) return undefined;
  const filter = entry.entries.get("filter")?.value;
  return filter?.kind === "scalar" && filter.value !== "*" ? String(filter.value) : "other";
}

function numberInGradient(inside: Path): string | undefined {
  const last = inside.at(-1);
  return typeof last === "number" ? String(last + 1) : undefined;
}
