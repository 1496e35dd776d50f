import { type ComputableDtype, dtypeFromRecipe, recipeDtypeNames } from "../../shared/checkpoint/dtypes.js";
import { quote } from "../../shared/quote.js";
import { Complaints } from "./complaints.js";
import { Fields } from "./fields.js";
import type { Located, Recipe, RecipeModel } from "./recipe.js";
import { readModelReference } from "./reference.js";
import { readParameters } from "./setting.js";
import { describe, didYouMeanOrOneOf } from "./wording.js";
import { isNull, numberOf, type YamlNode } from "./yaml/node.js";
import { readYaml } from "./yaml/read.js";

const recipeKeys = ["merge_method", "models", "base_model", "parameters", "dtype", "out_dtype", "seed", "name"];
const modelKeys = ["model", "parameters"];

/** The rest of mergekit's language, each with what to do until we speak it. */
const keysNotYet: ReadonlyMap<string, string> = new Map([
  ["slices", 'list whole models under "models"'],
  ["modules", 'list whole models under "models"'],
  ["tokenizer", "merge models that share a tokenizer and leave it out"],
  ["tokenizer_source", "merge models that share a tokenizer and leave it out"],
  ["chat_template", "leave it out and edit the merged model's tokenizer_config.json"],
]);

/**
 * Reads a recipe in mergekit's language. Throws one error, `recipe_invalid`, with a line for every complaint and its
 * place: `recipe.yaml:7:14  Unknown key "merge_metod", did you mean "merge_method"?`. Nothing is dropped silently: what
 * mergekit knows and we don't support yet is a complaint of its own, and so is a key that nobody knows.
 */
export function parseRecipe(text: string, file: string): Recipe {
  const complaints = new Complaints(file);
  const root = readYaml(text, complaints);
  if (root === undefined || isNull(root)) return complaints.fail({ line: 1, column: 1 }, "The recipe is empty");
  if (root.kind !== "mapping") return complaints.fail(root.at, `A recipe must be a mapping, found ${describe(root)}`);

  const fields = new Fields(root, complaints);
  fields.checkKeys(recipeKeys, keysNotYet);
  fields.text("name");
  const method = fields.has("merge_method") ? fields.text("merge_method") : fields.missing("merge_method");
  const models = readModels(fields, complaints);
  const base = readModelReference(fields, "base_model", complaints);
  const parameters = readParameters(fields.mapping("parameters"), complaints);
  const dtype = readDtype(fields, "dtype", complaints);
  const outDtype = readDtype(fields, "out_dtype", complaints);
  const seed = readSeed(fields.entry("seed")?.value, complaints);

  if (complaints.any || method === undefined) throw complaints.error();
  return { file, text, method, models, base, parameters, dtype, outDtype, seed };
}

function readModels(fields: Fields, complaints: Complaints): RecipeModel[] {
  // "slices" and "modules" stand in for "models", and have had their complaint.
  if (!fields.has("models") && !fields.has("slices") && !fields.has("modules")) fields.missing("models");
  const list = fields.list("models");
  if (list?.items.length === 0) complaints.add(list.at, 'Key "models" is an empty list, it needs at least one model');
  return list?.items.map((item) => readModel(item, complaints)).filter((model) => model !== undefined) ?? [];
}

function readModel(node: YamlNode, complaints: Complaints): RecipeModel | undefined {
  if (node.kind !== "mapping") {
    return complaints.add(node.at, `A model must be a mapping like "- model: ./path", found ${describe(node)}`);
  }
  const fields = new Fields(node, complaints);
  fields.checkKeys(modelKeys);
  const parameters = readParameters(fields.mapping("parameters"), complaints);
  const model = fields.has("model") ? readModelReference(fields, "model", complaints) : fields.missing("model");
  return model && { model, parameters };
}

function readDtype(fields: Fields, key: string, complaints: Complaints): Located<ComputableDtype> | undefined {
  const name = fields.text(key);
  if (name === undefined) return undefined;
  const value = dtypeFromRecipe(name.value);
  return value === undefined
    ? complaints.add(name.at, `Unknown ${key} ${quote(name.value)}${didYouMeanOrOneOf(name.value, recipeDtypeNames)}`)
    : { value, at: name.at };
}

function readSeed(node: YamlNode | undefined, complaints: Complaints): number {
  if (node === undefined) return 0;
  const seed = numberOf(node);
  if (seed !== undefined && Number.isSafeInteger(seed) && seed >= 0) return seed;
  complaints.add(
    node.at,
    `Key "seed" must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}, found ${describe(node)}`,
  );
  return 0;
}
