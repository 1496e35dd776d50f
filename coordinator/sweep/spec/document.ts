import {
  Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
  YAMLSeq,
} from "yaml";
import type { Path } from "./tree.js";

// The text of a recipe as its author wrote it, comments and order and all, in which values can be put. What `readYaml()`
// has read is safe to be read here: its limits hold, and no alias is inside of its own anchor.

/** The first document of a text, with aliases and `<<` written out, so that every place can have a value of its own. */
export function openDocument(text: string): Document {
  const document = parseDocument(text.replace(/^\uFEFF/, ""), {
    ...{ schema: "core", resolveKnownTags: false, stringKeys: true, uniqueKeys: false },
  });
  document.contents = writtenOut(document.contents, new Map()) as typeof document.contents;
  return document;
}

/** A document of its own for a part of another one. */
export function documentOf(node: Node): Document {
  const document = new Document(null, { schema: "core" });
  document.contents = node.clone() as typeof document.contents;
  return document;
}

/** Puts a value at a path, with the comments of what was there. */
export function put(document: Document, path: Path, value: Node): void {
  const before = document.getIn(path, true);
  if (isMap(before) || isSeq(before) || isScalar(before)) {
    value.comment = before.comment ?? null;
    value.commentBefore = before.commentBefore ?? null;
  }
  document.setIn(path, value);
}

/** Puts a list of filters at a path, with a line for each: what is around it leaves its braces. */
export function putFilters(
  document: Document,
  path: Path,
  entries: readonly Readonly<Record<string, unknown>>[],
): void {
  const list = new YAMLSeq(document.schema);
  for (const entry of entries) {
    const item = document.createNode(entry);
    if (isMap(item)) item.flow = true;
    list.add(item);
  }
  put(document, path, list);
  for (let depth = 0; depth < path.length; depth++) {
    const around = document.getIn(path.slice(0, depth), true);
    if (isMap(around) || isSeq(around)) around.flow = false;
  }
}

/** Long lines stay long: a folded string is hard to read, and to compare. */
export function textOf(document: Document): string {
  return document.toString({ lineWidth: 0 });
}

/** In the order of the text, in which an anchor comes before its aliases. */
function writtenOut(node: Node | null, anchors: Map<string, Node>): Node | null {
  if (isAlias(node)) return (anchors.get(node.source)?.clone() as Node | undefined) ?? null;
  if (isSeq(node)) node.items = node.items.map((item) => writtenOut(item as Node, anchors));
  if (isMap(node)) {
    for (const pair of node.items) pair.value = writtenOut(pair.value as Node | null, anchors);
    mergeInto(node);
  }
  if (node?.anchor !== undefined) {
    anchors.set(node.anchor, node);
    delete node.anchor;
  }
  return node;
}

/** `<<: *a` or `<<: [*a, *b]`, the earlier one first, as `readYaml()` has it: what is merged in comes before the rest. */
function mergeInto(map: YAMLMap): void {
  const merging = map.items.find(({ key }) => isScalar(key) && key.value === "<<");
  if (merging === undefined) return;
  const { value } = merging;
  const sources = isSeq(value) ? value.items.toReversed() : [value];
  const entries = new Map<unknown, Pair>();
  const own = map.items.filter((pair) => pair !== merging);
  for (const pair of [...sources.flatMap((source) => (isMap(source) ? source.items : [])), ...own]) {
    entries.set(isScalar(pair.key) ? pair.key.value : pair.key, pair);
  }
  map.items = [...entries.values()];
}
