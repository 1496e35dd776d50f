import type { CST } from "yaml";
import { quote } from "../../../shared/quote.js";
import type { Complaints } from "../complaints.js";
import type { Locate } from "./node.js";

/** Many times the largest recipe in the wild. */
export const maxRecipeBytes = 256 * 1024;

/** A recipe with a gradient inside a filter of a model's parameter is 7 deep. */
export const maxDepth = 32;
export const tooDeep = `Nested more than ${maxDepth} deep`;

/**
 * Scalars, lists and mappings, where what an alias stands for counts once for each use: that stops an alias bomb. As
 * many as the longest recipe can hold if it spends four characters on each.
 */
export const maxNodes = maxRecipeBytes / 4;

export function assertSmall(text: string, what: string, complaints: Complaints): void {
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxRecipeBytes) return;
  complaints.fail({ line: 1, column: 1 }, `The ${what} has ${bytes} bytes, more than the limit of ${maxRecipeBytes}`);
}

/**
 * Walks the raw tokens before anything recursive sees them: the composer takes a call for each level, and text nested
 * deep enough brings down the process instead of throwing. Tags are refused here too, where their place is known.
 */
export function assertModest(tokens: readonly CST.Token[], what: string, locate: Locate, complaints: Complaints): void {
  let nodes = 0;
  const pending = tokens.map((token) => ({ token, depth: 0 }));
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { token, depth } = next;
    nodes += 1;
    if (nodes > maxNodes) complaints.fail(locate(0), `The ${what} has more than ${maxNodes} parts`);
    if (depth > maxDepth) complaints.fail(locate(token.offset), tooDeep);
    for (const { offset, source } of tagsOf(token)) {
      complaints.add(locate(offset), `Tag ${quote(source)} is not allowed`);
    }
    for (const child of childrenOf(token)) {
      pending.push({ token: child, depth: depth + 1 });
    }
  }
  complaints.throwIfAny();
}

function childrenOf(token: CST.Token): CST.Token[] {
  if (token.type === "document") return token.value === undefined ? [] : [token.value];
  if (!("items" in token)) return [];
  return token.items.flatMap((item) => [item.key, item.value]).filter((child) => child !== null && child !== undefined);
}

/** The tags that stand before a document's value, or before the keys and values of a collection. */
function tagsOf(token: CST.Token): CST.SourceToken[] {
  const items = "items" in token ? token.items : [];
  const properties =
    token.type === "document" ? token.start : items.flatMap((item) => [...item.start, ...(item.sep ?? [])]);
  return properties.filter((property) => property.type === "tag");
}
