import { stat } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { isRemote } from "../../shared/remote/url.js";
import type { Complaints } from "../recipe/complaints.js";
import type { Position } from "../recipe/recipe.js";
import { isNodeModel } from "../sources/node-models.js";

/** What a recipe names: a model, or an adapter for one. */
export type Named = "model" | "LoRA";

/** Where a recipe's path may lead: from the recipe's folder, then from the current one. */
export function foldersFor(path: string, file: string): readonly string[] {
  return isAbsolute(path) ? [path] : [...new Set([join(dirname(resolve(file)), path), resolve(path)])];
}

/** The first of them that is there. */
export async function firstThere(folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    try {
      await stat(folder);
      return folder;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ENOTDIR") throw AmalgamError.from(error);
    }
  }
  return undefined;
}

/** `there is no "/a/b" nor "/b"` */
export function noneOf(folders: readonly string[]): string {
  return `there is no ${folders.map(quote).join(" nor ")}`;
}

/** The folder of a path in the recipe `file`, or a complaint. */
export async function findFolder(
  what: Named,
  path: string,
  at: Position,
  file: string,
  complaints: Complaints,
): Promise<string | undefined> {
  // Whoever plans models from elsewhere has put mirrors of them in their place by now.
  if (isNodeModel(path)) {
    return complaints.add(at, `Cannot open ${what} ${quote(path)}: only a cluster can, see "amalgam submit"`);
  }
  if (isRemote(path)) {
    return complaints.add(at, `Cannot open ${what} ${quote(path)}: fetch it first, with "amalgam download"`);
  }
  const folders = foldersFor(path, file);
  const found = await firstThere(folders);
  return found ?? complaints.add(at, `Cannot find ${what} ${quote(path)}: ${noneOf(folders)}`);
}
