import { type ComputableDtype, dtypeFromRecipe, recipeDtypeNames } from "../../shared/checkpoint/dtypes.js";
import { quote } from "../../shared/quote.js";
import type { Complaints } from "./complaints.js";
import { Fields } from "./fields.js";
import type { Located, Recipe } from "./recipe.js";
import { readModelReference } from "./reference.js";
import { readParameters } from "./setting.js";
import { readModules } from "./slices.js";
import { readTokenizer } from "./tokenizer.js";
import { describe, didYouMeanOrOneOf } from "./wording.js";
import type { YamlNode } from "./yaml/node.js";

const recipeKeys = [
  "merge_method",
  "models",
  "slices",
  "modules",
  "base_model",
  "parameters",
  "dtype",
  "out_dtype",
  "tokenizer",
  "tokenizer_source",
  "chat_template",
  "seed",
  "name",
];

/** One document as a recipe. Undefined, and otherwise not to be relied on, where there were complaints. */
export function readDocument(
  root: YamlNode,
  { file, text }: Pick<Recipe, "file" | "text">,
  complaints: Complaints,
): Recipe | undefined {
  if (root.kind !== "mapping") return complaints.add(root.at, `A recipe must be a mapping, found ${describe(root)}`);
  const fields = new Fields(root, complaints);
  fields.checkKeys(recipeKeys);
  const name = fields.text("name");
  const method = fields.has("merge_method") ? fields.text("merge_method") : fields.missing("merge_method");
  const modules = readModules(fields, complaints);
  const base = readModelReference(fields, "base_model", complaints);
  const parameters = readParameters(fields.mapping("parameters"), complaints);
  const dtype = readDtype(fields, "dtype", complaints);
  const outDtype = readDtype(fields, "out_dtype", complaints);
  const tokenizer = readTokenizer(fields, complaints);
  const chatTemplate = fields.text("chat_template");
  const seed = fields.wholeNumber("seed", 0) ?? 0;
  return (
    method && { file, text, name, method, modules, base, parameters, dtype, outDtype, tokenizer, chatTemplate, seed }
  );
}

function readDtype(fields: Fields, key: string, complaints: Complaints): Located<ComputableDtype> | undefined {
  const name = fields.text(key);
  if (name === undefined) return undefined;
  const value = dtypeFromRecipe(name.value);
  return value === undefined
    ? complaints.add(name.at, `Unknown ${key} ${quote(name.value)}${didYouMeanOrOneOf(name.value, recipeDtypeNames)}`)
    : { value, at: name.at };
}
