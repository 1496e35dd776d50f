import { commonLayerCounts } from "./families.js";
import { findStacks, isGapless, outermostIn, type Stack } from "./stacks.js";
import { layerCountsIn, type ModuleStructure, namesBeforeLayers, type Structure } from "./structure.js";
import { mayBeTokens, sideOf, tokensOf } from "./words.js";

type Tensors = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/**
 * The structure of a model of which nothing is known but its tensors. Several stacks are modules named after what stands
 * before the number, beside "default" for everything else: mergekit's names for models that it does not know.
 */
export function inferStructure(config: unknown, tensors: Tensors, vocabularySize: number | undefined): Structure {
  const stacks = stacksOf(tensors.keys());
  const prefixes = new Set(stacks.map(({ prefix }) => prefix));
  const isInLayer = (name: string): boolean => outermostIn(name, prefixes) !== undefined;
  const first = namesBeforeLayers(tensors.keys(), isInLayer);
  const loose = [...tensors].filter(([name]) => !isInLayer(name));

  const [only] = stacks;
  const counts = layerCountsIn(config, commonLayerCounts);
  const rest: ModuleStructure = {
    name: "default",
    layers: 0,
    predictors: 0,
    stack: undefined,
    layerCount: undefined,
    layerCounts: [],
  };
  const modules =
    stacks.length > 1
      ? [
          ...stacks.map((stack) => ({
            ...rest,
            name: stack.prefix.slice(0, -1),
            layers: stack.layers,
            stack: stack.prefix,
          })),
          rest,
        ]
      : [{ ...rest, layers: only?.layers ?? 0, stack: only?.prefix, layerCount: counts[0], layerCounts: counts }];
  const partOf = (name: string): "before" | "after" => sideOf(name) ?? (first.has(name) ? "before" : "after");
  const tokens = tokenMatrices(loose, partOf, vocabularySize);
  return { modules, moduleOf: () => modules.length - 1, first, tokens: (name) => tokens.get(name) };
}

/** The outermost numbers that run from 0 without a gap. What counts is, if there are any, only stacks with parts inside. */
function stacksOf(names: Iterable<string>): readonly Stack[] {
  const all = [...names];
  const several = findStacks(all, (_, numbers) => numbers.size > 1 && isGapless(numbers));
  const stacks = several.length > 0 ? several : findStacks(all, (_, numbers) => isGapless(numbers));
  const nested = stacks.filter(({ isNested }) => isNested);
  return nested.length > 0 ? nested : stacks;
}

/** Matrices outside the layers with a row for each token: as many as config.json says, or as the embedding has. */
function tokenMatrices(
  loose: readonly (readonly [string, { readonly shape: readonly number[] }])[],
  partOf: (name: string) => "before" | "after",
  vocabularySize: number | undefined,
): ReadonlyMap<string, "embedding" | "head"> {
  const found = new Map<string, "embedding" | "head">();
  const matrices = loose.flatMap(([name, { shape }]) => {
    const [rows = 0, columns] = shape;
    return shape.length === 2 && columns !== undefined ? [{ name, rows, part: partOf(name) }] : [];
  });
  const embeddings = matrices.filter(({ name, rows, part }) => {
    if (part === "after") return false;
    if (vocabularySize === undefined) return tokensOf(name) === "embedding";
    // Padded to a round number of rows, an embedding is still known by its name.
    return rows === vocabularySize ? mayBeTokens(name, part) : rows > vocabularySize && tokensOf(name) === "embedding";
  });
  const counts = new Set([vocabularySize, ...embeddings.map(({ rows }) => rows)]);
  for (const { name } of embeddings) found.set(name, "embedding");
  for (const { name, rows, part } of matrices) {
    if (part === "after" && counts.has(rows) && mayBeTokens(name, part)) found.set(name, "head");
  }
  for (const [name, { shape }] of loose) {
    if (shape.length === 1 && tokensOf(name) === "head" && counts.has(shape[0])) found.set(name, "head");
  }
  return found;
}
