import { quote } from "../../shared/quote.js";
import type { Complaints } from "./complaints.js";
import { Fields } from "./fields.js";
import type { Located, RecipeModule, RecipeSlice, RecipeSource } from "./recipe.js";
import { readModelReference } from "./reference.js";
import { readParameters } from "./setting.js";
import { describe } from "./wording.js";
import { numberOf, type YamlList, type YamlNode } from "./yaml/node.js";

/** What there is to merge, in one of three forms: `models`, `slices` or `modules`. */
export function readModules(fields: Fields, complaints: Complaints): readonly RecipeModule[] {
  fields.checkOnlyOne(["models", "slices", "modules"], true);
  const named = fields.mapping("modules");
  if (named?.entries.size === 0) complaints.add(named.at, 'Key "modules" is empty, it needs at least one module');
  const modules = [...(named?.entries ?? [])].map(([name, { keyAt, value }]) =>
    readModule({ value: name, at: keyAt }, value, complaints),
  );
  return [...readStack(fields, undefined, new Map(), complaints), ...modules.flat()];
}

function readModule(name: Located<string>, node: YamlNode, complaints: Complaints): readonly RecipeModule[] {
  if (node.kind !== "mapping") {
    complaints.add(node.at, `Module ${quote(name.value)} must be a mapping, found ${describe(node)}`);
    return [];
  }
  const fields = new Fields(node, complaints);
  fields.checkKeys(["models", "slices", "parameters"]);
  fields.checkOnlyOne(["models", "slices"], true);
  return readStack(fields, name, readParameters(fields.mapping("parameters"), complaints), complaints);
}

/** `models` or `slices` as a module, whichever is there. */
function readStack(
  fields: Fields,
  name: RecipeModule["name"],
  parameters: RecipeModule["parameters"],
  complaints: Complaints,
): readonly RecipeModule[] {
  const modules: RecipeModule[] = [];
  const models = fields.list("models");
  if (models !== undefined) {
    const sources = readItems(models, "models", "model", complaints, readModel);
    const slice: RecipeSlice = { at: models.at, sources, base: undefined, parameters: new Map() };
    modules.push({ name, form: "models", slices: [slice], parameters });
  }
  const slices = fields.list("slices");
  if (slices !== undefined) {
    modules.push({
      name,
      form: "slices",
      slices: readItems(slices, "slices", "slice", complaints, readSlice),
      parameters,
    });
  }
  return modules;
}

/** What each item is made of, for the complaint that it is something else. */
const examples = {
  model: '"- model: ./path"',
  slice: '"- sources: […]"',
  source: '"- { model: ./path, layer_range: [0, 8] }"',
};

function readItems<Item>(
  list: YamlList,
  key: string,
  kind: keyof typeof examples,
  complaints: Complaints,
  read: (fields: Fields, item: YamlNode, complaints: Complaints) => Item | undefined,
): readonly Item[] {
  if (list.items.length === 0) {
    complaints.add(list.at, `Key ${quote(key)} is an empty list, it needs at least one ${kind}`);
  }
  const items = list.items.map((item) => {
    if (item.kind === "mapping") return read(new Fields(item, complaints), item, complaints);
    return complaints.add(item.at, `A ${kind} must be a mapping like ${examples[kind]}, found ${describe(item)}`);
  });
  return items.filter((item) => item !== undefined);
}

function readModel(fields: Fields, _: YamlNode, complaints: Complaints): RecipeSource | undefined {
  fields.checkKeys(["model", "parameters"]);
  const parameters = readParameters(fields.mapping("parameters"), complaints);
  const model = fields.has("model") ? readModelReference(fields, "model", complaints) : fields.missing("model");
  return model && { model, layers: undefined, parameters };
}

/** mergekit declares `residual_weight` and never looks at it, and neither do we. */
function readSlice(fields: Fields, item: YamlNode, complaints: Complaints): RecipeSlice | undefined {
  fields.checkKeys(["sources", "base_model", "parameters", "residual_weight"]);
  const base = readModelReference(fields, "base_model", complaints);
  const parameters = readParameters(fields.mapping("parameters"), complaints);
  const list = fields.has("sources") ? fields.list("sources") : fields.missing("sources");
  if (list === undefined) return undefined;
  const sources = readItems(list, "sources", "source", complaints, readSource);
  checkLayerCounts(sources, complaints);
  return { at: item.at, sources, base, parameters };
}

function readSource(fields: Fields, _: YamlNode, complaints: Complaints): RecipeSource | undefined {
  fields.checkKeys(["model", "layer_range", "parameters"]);
  const parameters = readParameters(fields.mapping("parameters"), complaints);
  const model = fields.has("model") ? readModelReference(fields, "model", complaints) : fields.missing("model");
  const layers = fields.has("layer_range") ? readLayerRange(fields, complaints) : fields.missing("layer_range");
  return model && layers && { model, layers, parameters };
}

function readLayerRange(fields: Fields, complaints: Complaints): RecipeSource["layers"] {
  const list = fields.list("layer_range");
  if (list === undefined) return undefined;
  const [first, end, ...more] = list.items.map(numberOf);
  const isRange = more.length === 0 && isLayer(first) && isLayer(end) && first < end;
  if (isRange) return { value: [first, end], at: list.at };
  const rule = "two whole numbers, the first layer and the one after the last, such as [0, 8]";
  return complaints.add(list.at, `Key "layer_range" must be ${rule}, found ${describeRange(list)}`);
}

function isLayer(value: number | undefined): value is number {
  return value !== undefined && Number.isSafeInteger(value) && value >= 0;
}

function describeRange({ items }: YamlList): string {
  const other = items.find((item) => numberOf(item) === undefined);
  if (other !== undefined) return `${describe(other)} among them`;
  return items.length <= 4 ? `[${items.map(numberOf).join(", ")}]` : `${items.length} numbers`;
}

/** Layer k of the output is merged from the k-th layer that each source gives, so each must give as many. */
function checkLayerCounts(sources: readonly RecipeSource[], complaints: Complaints): void {
  const [first] = sources;
  const wanted = countOf(first);
  for (const source of sources) {
    const count = countOf(source);
    if (source.layers === undefined || count === wanted) continue;
    const model = quote(source.model.value.text);
    const others = quote(String(first?.model.value.text));
    complaints.add(
      source.layers.at,
      `${model} gives ${count} layers where ${others} gives ${wanted}: all sources of a slice give as many`,
    );
  }
}

function countOf(source: RecipeSource | undefined): number {
  const [first, end] = source?.layers?.value ?? [0, 0];
  return end - first;
}
