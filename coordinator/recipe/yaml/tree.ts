import { type Alias, isAlias, isMap, isSeq, type ParsedNode, type YAMLMap } from "yaml";
import { quote } from "../../../shared/quote.js";
import type { Complaints } from "../complaints.js";
import type { Position } from "../recipe.js";
import { maxNodes } from "./limits.js";
import type { Locate, YamlEntry, YamlNode } from "./node.js";

/**
 * The library's documents as plain data. Aliases become what they stand for, `<<` the entries that it brings in, and a
 * key that appears twice becomes a complaint.
 */
export function plainTrees(
  documents: readonly ParsedNode[],
  what: string,
  locate: Locate,
  complaints: Complaints,
): YamlNode[] {
  const builder = new TreeBuilder(what, locate, complaints);
  return documents.map((contents) => builder.document(contents));
}

class TreeBuilder {
  readonly #what: string;
  readonly #locate: Locate;
  readonly #complaints: Complaints;
  readonly #anchors = new Map<string, { readonly node: YamlNode; readonly size: number }>();
  /** How many nodes the trees have so far, where a node counts once for every alias that leads to it. */
  #size = 0;

  constructor(what: string, locate: Locate, complaints: Complaints) {
    this.#what = what;
    this.#locate = locate;
    this.#complaints = complaints;
  }

  /** An anchor is known to the end of its document. */
  document(contents: ParsedNode): YamlNode {
    this.#anchors.clear();
    return this.node(contents);
  }

  /** `emptyAt` is the place of a node that has none of its own: `key:` with nothing after it. */
  node(parsed: ParsedNode, emptyAt?: Position): YamlNode {
    if (isAlias(parsed)) return this.#target(parsed);
    const before = this.#size;
    this.#grow(1, parsed);
    const node = this.#collectionOrScalar(parsed, emptyAt);
    // Only now, so that an alias inside its own anchor does not find it: that tree would have no end.
    if (parsed.anchor !== undefined) this.#anchors.set(parsed.anchor, { node, size: this.#size - before });
    return node;
  }

  #target(alias: Alias.Parsed): YamlNode {
    const anchor = this.#anchors.get(alias.source);
    if (anchor === undefined) {
      return this.#complaints.fail(this.#at(alias), `Alias ${quote(`*${alias.source}`)} has no anchor before it`);
    }
    this.#grow(anchor.size, alias);
    return anchor.node;
  }

  #collectionOrScalar(parsed: Exclude<ParsedNode, Alias.Parsed>, emptyAt?: Position): YamlNode {
    const at = parsed.range[0] === parsed.range[1] && emptyAt !== undefined ? emptyAt : this.#at(parsed);
    if (isMap(parsed)) return { kind: "mapping", entries: this.#entries(parsed), at };
    if (isSeq(parsed)) return { kind: "list", items: parsed.items.map((item) => this.node(item)), at };
    return { kind: "scalar", value: parsed.value as string | number | boolean | null, at };
  }

  #entries(map: YAMLMap.Parsed): ReadonlyMap<string, YamlEntry> {
    const written = new Map<string, YamlEntry>();
    for (const { key, value } of map.items) {
      const name = "value" in key ? String(key.value ?? "") : "";
      const keyAt = this.#at(key);
      const first = written.get(name);
      if (first !== undefined) {
        this.#complaints.add(keyAt, `Key ${quote(name)} appears twice, first on line ${first.keyAt.line}`);
      }
      written.set(name, {
        keyAt,
        value: value === null ? { kind: "scalar", value, at: keyAt } : this.node(value, keyAt),
      });
    }
    const merged = written.get("<<");
    if (merged === undefined) return written;
    written.delete("<<");
    return new Map([...this.#mergedEntries(merged), ...written]);
  }

  /** `<<: *a` or `<<: [*a, *b]`: the entries of those mappings, the earlier one's where they share a key. */
  #mergedEntries({ keyAt, value }: YamlEntry): [string, YamlEntry][] {
    const sources = value.kind === "list" ? value.items : [value];
    return sources.toReversed().flatMap((source) => {
      if (source.kind === "mapping") return [...source.entries];
      this.#complaints.add(keyAt, 'Key "<<" must have a mapping or a list of mappings');
      return [];
    });
  }

  #grow(nodes: number, parsed: ParsedNode): void {
    this.#size += nodes;
    if (this.#size > maxNodes) {
      this.#complaints.fail(this.#at(parsed), `Aliases make the ${this.#what} larger than ${maxNodes} parts`);
    }
  }

  #at(parsed: ParsedNode): Position {
    return this.#locate(parsed.range[0]);
  }
}
