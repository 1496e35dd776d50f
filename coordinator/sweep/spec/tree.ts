import type { Position } from "../../recipe/recipe.js";
import type { YamlNode } from "../../recipe/yaml/node.js";

/** Keys of mappings and places in lists, from the recipe's root. */
export type Path = readonly (string | number)[];

export function nodeAt(root: YamlNode, path: Path): YamlNode | undefined {
  let node: YamlNode | undefined = root;
  for (const step of path) node = node && childAt(node, step);
  return node;
}

function childAt(node: YamlNode, step: string | number): YamlNode | undefined {
  if (typeof step === "number") return node.kind === "list" ? node.items[step] : undefined;
  return node.kind === "mapping" ? node.entries.get(step)?.value : undefined;
}

/** Equal for equal paths. */
export function pathKey(path: Path): string {
  return JSON.stringify(path);
}

/** The tree with other nodes at some paths. */
export function withNodes(root: YamlNode, nodes: ReadonlyMap<string, YamlNode>, path: Path = []): YamlNode {
  const replaced = nodes.get(pathKey(path));
  if (replaced !== undefined) return replaced;
  if (root.kind === "list") {
    return { ...root, items: root.items.map((item, index) => withNodes(item, nodes, [...path, index])) };
  }
  if (root.kind === "scalar") return root;
  const entries = [...root.entries].map(([key, entry]) => {
    return [key, { ...entry, value: withNodes(entry.value, nodes, [...path, key]) }] as const;
  });
  return { ...root, entries: new Map(entries) };
}

/** The tree with a node put at a path, keys that are not there yet added; undefined where the path leads nowhere. */
export function withNodeAt(root: YamlNode, path: Path, node: YamlNode, keyAt: Position): YamlNode | undefined {
  const [step, ...rest] = path;
  if (step === undefined) return node;
  if (typeof step === "number") {
    const item = root.kind === "list" ? root.items[step] : undefined;
    const changed = item && withNodeAt(item, rest, node, keyAt);
    if (root.kind !== "list" || changed === undefined) return undefined;
    return { ...root, items: root.items.with(step, changed) };
  }
  if (root.kind !== "mapping") return undefined;
  const entry = root.entries.get(step);
  const empty: YamlNode = { kind: "mapping", entries: new Map(), at: keyAt };
  const changed = withNodeAt(entry?.value ?? empty, rest, node, keyAt);
  if (changed === undefined) return undefined;
  return {
    ...root,
    entries: new Map([
      ...root.entries,
      [step, { keyAt: rest.length === 0 ? keyAt : (entry?.keyAt ?? keyAt), value: changed }],
    ]),
  };
}

/** The tree of another file than the one that is read: its places say so. What was one node stays one. */
export function fromFile(root: YamlNode, file: string): YamlNode {
  const known = new Map<YamlNode, YamlNode>();
  return located(root);

  function located(node: YamlNode): YamlNode {
    const before = known.get(node);
    if (before !== undefined) return before;
    const at = { ...node.at, file };
    const after: YamlNode =
      node.kind === "scalar"
        ? { ...node, at }
        : node.kind === "list"
          ? { ...node, at, items: node.items.map(located) }
          : {
              ...{ ...node, at },
              entries: new Map(
                [...node.entries].map(([key, { keyAt, value }]) => {
                  return [key, { keyAt: { ...keyAt, file }, value: located(value) }];
                }),
              ),
            };
    known.set(node, after);
    return after;
  }
}
