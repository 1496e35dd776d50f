import { basename, dirname, extname, join } from "node:path";
import { type Document, isNode, type Node } from "yaml";
import { quote } from "../../../shared/quote.js";
import { Complaints } from "../../recipe/complaints.js";
import type { Fields } from "../../recipe/fields.js";
import { readText } from "../../recipe/read.js";
import type { Position } from "../../recipe/recipe.js";
import { describe } from "../../recipe/wording.js";
import { isNull, type YamlMapping, type YamlNode } from "../../recipe/yaml/node.js";
import { readYaml } from "../../recipe/yaml/read.js";
import { adopt, adoptLater } from "./adopt.js";
import { beside } from "./beside.js";
import { documentOf, openDocument, put } from "./document.js";
import { fromFile, type Path, withNodeAt } from "./tree.js";

/** The recipe of a sweep with dimensions in it: as data with places, and as text. */
export interface RecipeSource {
  /** Where its paths start from: see `RecipeTemplate.file`. */
  readonly file: string;
  readonly tree: YamlNode;
  readonly document: Document;
}

/** The sweep's own file. */
interface SweepText {
  readonly file: string;
  readonly text: string;
}

/** `recipe:` as a mapping, or as the path of a file, in which `set:` puts values. */
export async function readRecipeSource(
  fields: Fields,
  sweep: SweepText,
  complaints: Complaints,
): Promise<RecipeSource | undefined> {
  const node = fields.entry("recipe")?.value;
  if (node === undefined) return fields.missing("recipe");
  if (node.kind === "mapping") {
    const set = fields.entry("set");
    if (set !== undefined) {
      complaints.add(set.keyAt, 'Key "set" is for a recipe in a file of its own: write the values into the recipe');
    }
    const part = partOf(openDocument(sweep.text), ["recipe"]);
    return part && { file: templateFile(sweep.file, dirname(sweep.file)), tree: node, document: documentOf(part) };
  }
  if (node.kind !== "scalar" || typeof node.value !== "string") {
    return complaints.add(node.at, `Key "recipe" must be a recipe or the path of one, found ${describe(node)}`);
  }
  const written = await readWritten(beside(sweep.file, node.value), node.at, sweep.file, complaints);
  const changes = fields.mapping("set");
  return written === undefined || changes === undefined ? written : withValues(written, changes, sweep, complaints);
}

/** A recipe that does not exist as a file: that of a point. */
function templateFile(sweepFile: string, folder: string): string {
  return join(folder, `${basename(sweepFile, extname(sweepFile))}.recipe.yaml`);
}

async function readWritten(
  file: string,
  at: Position,
  sweepFile: string,
  complaints: Complaints,
): Promise<RecipeSource | undefined> {
  const text = await adoptLater(() => readText(file, "recipe"), sweepFile, at, complaints);
  if (text === undefined) return undefined;
  const documents = adopt(() => readYaml(text, new Complaints(file)), sweepFile, at, complaints);
  const [tree, second] = documents?.filter((document) => !isNull(document)) ?? [];
  if (second !== undefined) {
    const what = `Recipe ${quote(file)} has several documents, and a sweep is of one`;
    return complaints.add(at, `${what}: merge the earlier ones first`);
  }
  if (tree === undefined) return documents && complaints.add(at, `Recipe ${quote(file)} is empty`);
  return { file: templateFile(sweepFile, dirname(file)), tree: fromFile(tree, file), document: openDocument(text) };
}

/** The recipe with the values of `set:` at the paths that its keys are. */
function withValues(
  { file, tree: written, document }: RecipeSource,
  changes: YamlMapping,
  sweep: SweepText,
  complaints: Complaints,
): RecipeSource {
  const values = openDocument(sweep.text);
  let tree = written;
  for (const [key, { keyAt, value }] of changes.entries) {
    const path = pathOf(key);
    const changed = path && withNodeAt(tree, path, value, keyAt);
    const part = partOf(values, ["set", key]);
    if (path === undefined || changed === undefined || part === undefined) {
      const example = '"parameters.lambda" or "models[0].parameters.weight"';
      complaints.add(keyAt, `There is no ${quote(key)} in the recipe, which is to be a path like ${example}`);
      continue;
    }
    tree = changed;
    put(document, path, part.clone() as Node);
  }
  return { file, tree, document };
}

function partOf(document: Document, path: Path): Node | undefined {
  const part = document.getIn(path, true);
  return isNode(part) ? part : undefined;
}

/** `models[0].parameters.weight` as keys and places. */
function pathOf(text: string): Path | undefined {
  if (!/^[^.[\]]+(?:\[\d{1,6}\]|\.[^.[\]]+)*$/.test(text)) return undefined;
  return [...text.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(([word, index]) => (index === undefined ? word : Number(index)));
}
