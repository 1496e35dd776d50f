import { quote } from "../../../shared/quote.js";
import { allOrNone, type Complaints } from "../../recipe/complaints.js";
import type { Fields } from "../../recipe/fields.js";
import { isGlob, problemWithGlob } from "../../recipe/glob.js";
import type { Position } from "../../recipe/recipe.js";
import { describe } from "../../recipe/wording.js";
import { numberOf, type YamlMapping, type YamlNode } from "../../recipe/yaml/node.js";

/** More layers than any published model has. */
const maxRuns = 1_000;

/** Which tensors share a value. */
export type Grouping = { readonly at: Position } & (
  | { readonly kind: "runs" /** Runs of consecutive layers, as equal as can be. */; readonly count: number }
  | { readonly kind: "layer" }
  | { readonly kind: "tensor" }
  | { readonly kind: "named"; readonly groups: readonly NamedGroup[] }
);

/** Tensors that one of these filters matches and none of an earlier group. */
export interface NamedGroup {
  readonly name: string;
  readonly filters: readonly string[];
  readonly at: Position;
}

/** What is in no group. */
export const otherGroup = "other";

/** `groups: 4`, `groups: layer`, `groups: tensor`, or a mapping from names to filters. */
export function readGrouping(fields: Fields, complaints: Complaints): Grouping | undefined {
  const node = fields.entry("groups")?.value;
  if (node === undefined) return undefined;
  const { at } = node;
  if (node.kind === "mapping") return readNamed(node, complaints);
  const count = numberOf(node);
  if (count !== undefined && Number.isSafeInteger(count) && count >= 1 && count <= maxRuns) {
    return { kind: "runs", count, at };
  }
  if (node.kind === "scalar" && (node.value === "layer" || node.value === "tensor")) return { kind: node.value, at };
  const wanted = `a whole number from 1 to ${maxRuns}, "layer", "tensor" or a mapping from names to filters`;
  return complaints.add(at, `Key "groups" must be ${wanted}, found ${describe(node)}`);
}

function readNamed(mapping: YamlMapping, complaints: Complaints): Grouping | undefined {
  if (mapping.entries.size === 0) return complaints.add(mapping.at, 'Key "groups" is an empty mapping');
  const groups = allOrNone(
    [...mapping.entries].map(([name, { keyAt, value }]) => {
      if (name === otherGroup) {
        return complaints.add(keyAt, `Group "${otherGroup}" is what no other group has, leave it out`);
      }
      const filters = readFilters(name, value, complaints);
      return filters && { name, filters, at: keyAt };
    }),
  );
  return groups && { kind: "named", groups, at: mapping.at };
}

function readFilters(group: string, node: YamlNode, complaints: Complaints): readonly string[] | undefined {
  const items = node.kind === "list" ? node.items : [node];
  if (items.length === 0) return complaints.add(node.at, `Group ${quote(group)} has no filters`);
  return allOrNone(
    items.map((item) => {
      if (item.kind !== "scalar" || typeof item.value !== "string" || item.value.trim() === "") {
        return complaints.add(item.at, `A filter of group ${quote(group)} must be a string, found ${describe(item)}`);
      }
      const problem = isGlob(item.value) ? problemWithGlob(item.value) : undefined;
      return problem === undefined ? item.value : complaints.add(item.at, `Filter ${quote(item.value)} ${problem}`);
    }),
  );
}
