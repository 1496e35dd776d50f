import { countAt, objectAt } from "./config-value.js";
import { type Family, type FamilyModule, stackWords } from "./families.js";
import { findStacks, outermostIn, type Stack } from "./stacks.js";
import { layerCountsIn, type ModuleStructure, namesBeforeLayers, type Structure } from "./structure.js";
import { tokensOf } from "./words.js";

/** The structure of a model of a known family, whatever its names begin with: that differs with the task's head. */
export function knownStructure(family: Family, config: unknown, tensors: ReadonlyMap<string, unknown>): Structure {
  const moduleOf = moduleFinder(family.modules);
  const stacks: (Stack | undefined)[] = [];
  for (const stack of findStacks(tensors.keys(), hasStackWord)) {
    const module = moduleOf(stack.prefix);
    if (family.modules[module]?.layerCounts.length === 0) continue;
    // A second stack, such as one that predicts further tokens, is smaller than the model's own.
    if (stack.layers > (stacks[module]?.layers ?? 0)) stacks[module] = stack;
  }
  const modules = family.modules.map((module, i) => moduleStructure(module, stacks[i], config));
  const prefixes = new Set(modules.flatMap(({ stack }) => (stack === undefined ? [] : [stack])));
  return {
    modules,
    moduleOf,
    first: namesBeforeLayers(tensors.keys(), (name) => outermostIn(name, prefixes) !== undefined),
    tokens: (name, module) => (family.modules[module]?.hasTokens === false ? undefined : tokensOf(name)),
  };
}

function hasStackWord(prefix: string): boolean {
  return stackWords.has(prefix.slice(prefix.lastIndexOf(".", prefix.length - 2) + 1, -1));
}

function moduleFinder(modules: readonly FamilyModule[]): (name: string) => number {
  const rest = modules.findIndex(({ components }) => components === undefined);
  const patterns = modules.flatMap(({ components }, module) =>
    components === undefined ? [] : [{ module, pattern: new RegExp(`(?:^|\\.)(?:${components.join("|")})(?:\\.|$)`) }],
  );
  return (name) => patterns.find(({ pattern }) => pattern.test(name))?.module ?? rest;
}

function moduleStructure(module: FamilyModule, stack: Stack | undefined, config: unknown): ModuleStructure {
  const layerCounts = layerCountsIn(config, module.layerCounts);
  const layerCount = layerCounts[0] ?? usualPath(config, module.layerCounts);
  const numbered = stack?.layers ?? 0;
  const predictors = layerCount === undefined ? 0 : predictorsIn(config, layerCount, numbered);
  return {
    name: module.name,
    layers: numbered - predictors,
    predictors,
    stack: stack?.prefix,
    layerCount,
    layerCounts,
  };
}

/** Where a config that leaves the number to a default would have it. */
function usualPath(config: unknown, dotted: readonly string[]): readonly string[] | undefined {
  const paths = dotted.map((path) => path.split("."));
  return paths.find((path) => objectAt(config, path.slice(0, -1)) !== undefined) ?? paths[0];
}

/** How many of the numbered layers come after the model's own and predict further tokens. */
function predictorsIn(config: unknown, layerCount: readonly string[], numbered: number): number {
  const beside = [...layerCount.slice(0, -1), "num_nextn_predict_layers"];
  const further = countAt(config, beside) ?? 0;
  return numbered - further === countAt(config, layerCount) ? further : 0;
}
