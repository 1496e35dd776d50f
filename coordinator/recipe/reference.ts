import { quote } from "../../shared/quote.js";
import type { Complaints } from "./complaints.js";
import { Fields } from "./fields.js";
import type { Located, ModelReference, Position } from "./recipe.js";
import type { YamlMapping } from "./yaml/node.js";

/** A folder or a name, and perhaps which version of it. */
interface Part {
  readonly path: string;
  readonly revision?: string;
}

const spelling = "path[@revision][+lora[@revision]]";
const mappingRemedy = 'a path that holds one is written "{ model: { path: … } }"';

/**
 * The model that `key` refers to: `path[@revision][+lora[@revision]]`, or mergekit's mapping
 * `{ model: { path, revision }, lora: { path, revision } }`, whose paths may hold `+` and `@`.
 */
export function readModelReference(
  fields: Fields,
  key: string,
  complaints: Complaints,
): Located<ModelReference> | undefined {
  const node = fields.entry(key)?.value;
  if (node?.kind === "mapping") return referenceFromMapping(node, complaints);
  const written = fields.text(key);
  const value = written && fromText(written.value, written.at, complaints);
  return value && { value, at: written.at };
}

/** `override_architecture` changes which of its definitions mergekit takes for a model. We need none. */
function referenceFromMapping(mapping: YamlMapping, complaints: Complaints): Located<ModelReference> | undefined {
  const fields = new Fields(mapping, complaints);
  fields.checkKeys(["model", "lora", "override_architecture"]);
  fields.text("override_architecture");
  if (!fields.has("model")) return fields.missing("model", ' in a model like "{ model: { path: ./a } }"');
  const model = readPart(fields, "model", complaints);
  const lora = fields.has("lora") ? readPart(fields, "lora", complaints) : undefined;
  if (model === undefined || (fields.has("lora") && lora === undefined)) return undefined;
  return { value: referenceTo(model, lora), at: mapping.at };
}

/** In a mapping, only `@` separates in a string, and nothing does in a `path`. */
function readPart(outer: Fields, key: string, complaints: Complaints): Part | undefined {
  const node = outer.entry(key)?.value;
  if (node?.kind !== "mapping") {
    const written = outer.text(key);
    return written && partFromText(written.value, written.value, written.at, complaints);
  }
  const fields = new Fields(node, complaints);
  fields.checkKeys(["path", "revision"]);
  const path = fields.has("path") ? fields.text("path") : fields.missing("path");
  const revision = fields.text("revision");
  return path && { path: path.value, ...(revision === undefined ? {} : { revision: revision.value }) };
}

function fromText(text: string, at: Position, complaints: Complaints): ModelReference | undefined {
  const [first = "", second, ...more] = text.split("+");
  if (more.length > 0) {
    return complaints.add(at, `Model ${quote(text)} has more than one "+", which adds a LoRA: ${mappingRemedy}`);
  }
  const model = partFromText(first, text, at, complaints);
  if (second === undefined || model === undefined) return model && referenceTo(model, undefined);
  const lora = partFromText(second, text, at, complaints);
  return lora && referenceTo(model, lora);
}

function partFromText(part: string, whole: string, at: Position, complaints: Complaints): Part | undefined {
  // Nothing but the Hub has revisions, and paths of servers may hold an "@".
  if (/^(?:https?|s3):\/\//i.test(part)) return { path: part };
  const [path = "", revision, ...more] = part.split("@");
  if (more.length > 0) {
    return complaints.add(at, `Model ${quote(whole)} has more than one "@", which gives a revision: ${mappingRemedy}`);
  }
  if (path.trim() === "" || revision?.trim() === "") {
    return complaints.add(at, `Model ${quote(whole)} has an empty part, it is written ${quote(spelling)}`);
  }
  return { path, ...(revision === undefined ? {} : { revision }) };
}

function referenceTo(model: Part, lora: Part | undefined): ModelReference {
  const text = lora === undefined ? textOf(model) : `${textOf(model)}+${textOf(lora)}`;
  return { text, ...model, ...(lora === undefined ? {} : { lora }) };
}

function textOf({ path, revision }: Part): string {
  return revision === undefined ? unambiguous(path) : `${unambiguous(path)}@${unambiguous(revision)}`;
}

/** In quotes where it would read as something else, so that two models never have one text. */
function unambiguous(text: string): string {
  return /[+@"]/.test(text) ? JSON.stringify(text) : text;
}
