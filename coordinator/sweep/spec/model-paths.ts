import { stat } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { type Document, isMap, isScalar, type Node, type Scalar, visit } from "yaml";
import { Complaints } from "../../recipe/complaints.js";
import { Fields } from "../../recipe/fields.js";
import type { ModelReference } from "../../recipe/recipe.js";
import { readModelReference } from "../../recipe/reference.js";
import type { YamlEntry } from "../../recipe/yaml/node.js";

/** Folders by how a recipe writes them; without those that are not there, and names that are no paths. */
export type Folders = ReadonlyMap<string, string>;

/** Looks where `openModels()` does: from the recipe's folder, then from the current one. */
export async function findFolders(file: string, references: Iterable<ModelReference>): Promise<Folders> {
  const paths = [...references].flatMap(({ path, lora }) => [path, ...(lora === undefined ? [] : [lora.path])]);
  const folders = new Map<string, string>();
  for (const path of new Set(paths)) {
    if (isAbsolute(path)) continue;
    for (const candidate of [join(dirname(resolve(file)), path), resolve(path)]) {
      if (folders.has(path) || !(await isThere(candidate))) continue;
      folders.set(path, candidate);
    }
  }
  return folders;
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * How a recipe in `folder` writes a path that one in `home` writes: relative where both are below what `home` is in,
 * and so may be moved together, else absolute.
 */
export function pathFrom(folder: string, home: string, target: string): string {
  const shared = dirname(resolve(home));
  const inside = [folder, target].every((path) => isBelow(resolve(path), resolve(home)));
  const together = shared !== dirname(shared) && [folder, target].every((path) => isBelow(resolve(path), shared));
  return inside || together ? relative(resolve(folder), target) || "." : target;
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** A reference as a recipe writes it. */
export function writtenReference({ path, revision, lora }: ModelReference): unknown {
  const parts = [{ path, revision }, ...(lora === undefined ? [] : [lora])];
  if (parts.every((part) => !/[+@]/.test(part.path + (part.revision ?? "")))) {
    return parts.map((part) => (part.revision === undefined ? part.path : `${part.path}@${part.revision}`)).join("+");
  }
  const mapping = (part: { path: string; revision?: string | undefined }): Record<string, string> => {
    return { path: part.path, ...(part.revision === undefined ? {} : { revision: part.revision }) };
  };
  return { model: mapping({ path, revision }), ...(lora === undefined ? {} : { lora: mapping(lora) }) };
}

/** Has every model of a recipe's document found from `folder`. */
export function movePaths(document: Document, folders: Folders, home: string, folder: string): void {
  const moved = (path: string): string => {
    const target = folders.get(path);
    return target === undefined ? path : pathFrom(folder, home, target);
  };
  visit(document, {
    Pair(_, { key, value }, ancestors) {
      const name = isScalar(key) ? key.value : undefined;
      if (!isScalar(value) || typeof value.value !== "string" || !isReference(name, value, ancestors.length)) return;
      if (name === "path") {
        value.value = moved(value.value);
        return;
      }
      const reference = referenceIn(value.value);
      if (reference === undefined) return;
      const { path, lora } = reference;
      const written = writtenReference({
        ...{ ...reference, path: moved(path) },
        ...(lora === undefined ? {} : { lora: { ...lora, path: moved(lora.path) } }),
      });
      if (typeof written === "string") value.value = written;
      else return void replace(ancestors.at(-1), key, document.createNode(written));
    },
  });
}

/** `union` and `base` of the tokenizer itself are words, not models. */
function isReference(key: unknown, { value }: Scalar, depth: number): boolean {
  const isWord = value === "union" || value === "base";
  if (key === "tokenizer_source") return !isWord;
  // The root's pairs have two ancestors, the document and its mapping; the tokenizer's have four.
  if (key === "source") return !(isWord && depth <= 4);
  return key === "model" || key === "base_model" || key === "path";
}

function referenceIn(text: string): ModelReference | undefined {
  const at = { line: 1, column: 1 };
  const entry: YamlEntry = { keyAt: at, value: { kind: "scalar", value: text, at } };
  const unheard = new Complaints("");
  const fields = new Fields({ kind: "mapping", entries: new Map([["model", entry]]), at }, unheard);
  return readModelReference(fields, "model", unheard)?.value;
}

function replace(around: unknown, key: unknown, value: Node): void {
  if (isMap(around)) around.set(key, value);
}
