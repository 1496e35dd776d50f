import { quote } from "../../../shared/quote.js";
import type { Architecture } from "../../architecture/architecture.js";
import { resolverOf } from "../../recipe/resolve.js";
import { type Grouping, otherGroup } from "./grouping.js";

/** Some tensors that share a value, as entries of a filter list. */
export interface TensorGroup {
  readonly name: string;
  /** Undefined: whatever is left. */
  readonly filters: readonly (string | undefined)[];
}

/** A model as far as its groups go. */
export interface GroupedModel {
  readonly architecture: Architecture;
  /** Of the tensors that methods compute on. */
  readonly tensors: readonly string[];
  /** Layers [first, end) that the recipe takes of it. */
  readonly layers?: readonly [first: number, end: number] | undefined;
}

/**
 * The groups of a model's tensors, in the order in which a filter list must try them: the first match decides. The rest
 * is the last group, "other", unless nothing is left. A string says why there are none.
 */
export function tensorGroups(grouping: Grouping, whole: GroupedModel): readonly TensorGroup[] | string {
  const model = { ...whole, tensors: tensorsWithin(whole) };
  const groups = grouped(grouping, model);
  if (typeof groups === "string") return groups;
  const matched = membersOf(groups, model.tensors);
  const empty = groups.find((_, place) => !matched.has(place));
  if (empty !== undefined) return `Group ${quote(empty.name)} has no tensors that are not in an earlier one`;
  return matched.has(undefined) ? [...groups, { name: otherGroup, filters: [undefined] }] : groups;
}

/** Without those of layers that the recipe does not take. */
function tensorsWithin({ architecture, tensors, layers }: GroupedModel): readonly string[] {
  if (layers === undefined) return tensors;
  const [first, end] = layers;
  return tensors.filter((name) => {
    const { layer } = architecture.place(name);
    return layer === undefined || (layer >= first && layer < end);
  });
}

function grouped(grouping: Grouping, model: GroupedModel): readonly TensorGroup[] | string {
  switch (grouping.kind) {
    case "named":
      return grouping.groups;
    case "tensor":
      return byTensor(model.tensors);
    case "layer":
      return byRuns(layersOf(model), undefined);
    case "runs":
      return byRuns(layersOf(model), grouping.count);
  }
}

/** Numbers of the groups that have tensors, by the recipe language's own rule; undefined among them: some have no group. */
function membersOf(groups: readonly TensorGroup[], tensors: readonly string[]): ReadonlySet<unknown> {
  // Every tensor has its own group, and a model of 10,000 tensors has 10,000 of them.
  if (groups.length === tensors.length && groups.every(({ name }) => name !== "")) {
    const names = new Set(tensors);
    if (groups.every(({ name }) => names.has(name))) return new Set(groups.keys());
  }
  const at = { line: 0, column: 0 };
  const resolve = resolverOf([
    {
      kind: "filters",
      entries: groups.flatMap(({ filters }, value) =>
        filters.map((filter) => ({ filter, setting: { kind: "scalar" as const, value }, at })),
      ),
    },
  ]);
  return new Set(tensors.map((name) => resolve(name, undefined)));
}

/** A filter is a piece of a name, so that a name is tried before all shorter ones, which it may hold. */
function byTensor(tensors: readonly string[]): readonly TensorGroup[] {
  return tensors.toSorted((a, b) => b.length - a.length).map((name) => ({ name, filters: [literal(name)] }));
}

interface Layer {
  /** The name of its module, where the model has several. */
  readonly module: string;
  readonly layer: number;
  readonly filter: string;
}

function layersOf({ architecture, tensors }: GroupedModel): readonly Layer[] {
  const several = architecture.modules.filter(({ stack }) => stack !== undefined).length > 1;
  const used = new Set(
    tensors.map((name) => {
      const { module, layer } = architecture.place(name);
      return `${module} ${layer}`;
    }),
  );
  return architecture.modules.flatMap(({ name, layers: count, stack }, module) => {
    if (stack === undefined) return [];
    const numbers = Array.from({ length: count }, (_, layer) => layer).filter((layer) =>
      used.has(`${module} ${layer}`),
    );
    return numbers.map((layer) => {
      return { module: several ? `${name} ` : "", layer, filter: `${literal(stack)}${layer}.*` };
    });
  });
}

/** Runs as equal as can be, the longer ones first; undefined: one for each layer. */
function byRuns(layers: readonly Layer[], count: number | undefined): readonly TensorGroup[] | string {
  const runs = count ?? layers.length;
  if (layers.length === 0) return "No layers were found by the names of the tensors: group them by filters";
  if (runs > layers.length) return `There are ${layers.length} layers, fewer than ${runs} groups`;
  const short = Math.floor(layers.length / runs);
  const long = layers.length % runs;
  return Array.from({ length: runs }, (_, run) => {
    const begin = run * short + Math.min(run, long);
    const own = layers.slice(begin, begin + short + (run < long ? 1 : 0));
    return { name: nameOf(own), filters: own.map(({ filter }) => filter) };
  });
}

/** "layers 0-3", "layer 4", "encoder layers 2-3, decoder layer 0". */
function nameOf(layers: readonly Layer[]): string {
  const modules = [...new Set(layers.map(({ module }) => module))];
  return modules
    .map((module) => {
      const numbers = layers.filter((layer) => layer.module === module).map(({ layer }) => layer);
      const [first, last] = [numbers[0], numbers.at(-1)];
      return first === last ? `${module}layer ${first}` : `${module}layers ${first}-${last}`;
    })
    .join(", ");
}

/** Text that a filter takes as it is: glob characters in brackets stand for themselves. */
function literal(text: string): string {
  return text.replace(/[*?[]/g, (character) => `[${character}]`);
}
