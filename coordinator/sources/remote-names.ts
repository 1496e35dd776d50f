import { quote } from "../../shared/quote.js";
import { hubUrl } from "../../shared/remote/hub-address.js";
import { isRemote, parseRemote, shown } from "../../shared/remote/url.js";
import { firstThere, foldersFor, type Named } from "../plan/find-folder.js";
import type { Complaints } from "../recipe/complaints.js";
import type { Located, ModelReference, Position } from "../recipe/recipe.js";
import { isNodeModel } from "./node-models.js";

/** A model or an adapter in a reference to one. */
export interface NamedPart {
  readonly path: string;
  readonly revision?: string;
}

/** A model or an adapter on a server, as a recipe names it. */
export interface RemoteName {
  readonly what: Named;
  readonly part: NamedPart;
  /** Canonical, with the revision that the recipe asks for. */
  readonly url: string;
  /** Where the recipe first names it. */
  readonly at: Position;
  /** For what may have been meant as a path: the folders that are not there. */
  readonly notHere: readonly string[] | undefined;
}

/** What tells parts apart. */
export function partKey({ path, revision }: NamedPart): string {
  return revision === undefined ? path : `${path}\n${revision}`;
}

/** The model and the adapter of a reference. */
export function partsOf({
  path,
  revision,
  lora,
}: ModelReference): readonly [readonly ["model", NamedPart], ...(readonly ["LoRA", NamedPart])[]] {
  const model: NamedPart = { path, ...(revision === undefined ? {} : { revision }) };
  return [["model", model], ...(lora === undefined ? [] : [["LoRA", lora] as const])];
}

/** A part as a recipe may write it, without what an address may hold that is nobody's business. */
export function writtenPart({ path, revision }: NamedPart): string {
  const name = isRemote(path) ? shown(path) : path;
  return revision === undefined ? name : `${name}@${revision}`;
}

/**
 * Every part of the references that is on a server, each once, by {@link partKey}: addresses, and names such as
 * `owner/name` where no such folder is there, as mergekit reads them. Complains of addresses that are none.
 */
export async function remoteNamesOf(
  references: Iterable<Located<ModelReference>>,
  file: string,
  complaints: Complaints,
): Promise<ReadonlyMap<string, RemoteName>> {
  const names = new Map<string, RemoteName>();
  for (const { value, at } of references) {
    if (value.stage !== undefined) continue;
    for (const [what, part] of partsOf(value)) {
      const key = partKey(part);
      if (names.has(key) || isNodeModel(part.path)) continue;
      if (!isRemote(part.path)) {
        const notHere = foldersFor(part.path, file);
        const url = hubUrl(part.path, part.revision);
        if (url === undefined || (await firstThere(notHere)) !== undefined) continue;
        names.set(key, { what, part, url, at, notHere });
        continue;
      }
      const { url, problem } = urlOf(part);
      if (url !== undefined) names.set(key, { what, part, url, at, notHere: undefined });
      else complaints.add(at, `Cannot use ${what} ${quote(writtenPart(part))}: ${problem}`);
    }
  }
  return names;
}

/** The canonical URL of what is written as an address. */
export function urlOf({ path, revision }: NamedPart): { readonly url?: string; readonly problem?: string } {
  const { address, problem } = parseRemote(path);
  if (address === undefined) return { problem };
  if (revision === undefined) return { url: address.url };
  if (address.hub === undefined) return { problem: "only models of the Hub have revisions" };
  if (address.hub.revision !== undefined) return { problem: "it has two revisions" };
  const pinned = parseRemote([`${address.authority}@${revision}`, ...address.segments].join("/"));
  return pinned.address === undefined ? { problem: pinned.problem } : { url: pinned.address.url };
}
