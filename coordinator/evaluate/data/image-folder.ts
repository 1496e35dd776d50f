import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileError } from "../../../shared/checkpoint/regular-file.js";
import { formatCount } from "../../../shared/quote.js";
import type { Row } from "../types.js";
import type { RowBudget } from "./budget.js";
import { dataError } from "./complain.js";
import { maxImages } from "./limits.js";

const imageName = /^[^.].*\.(?:avif|bmp|gif|jpe?g|png|tiff?|webp)$/i;

/**
 * Rows of a folder with a sub-folder per class: `file`, the path, and `label`, the sub-folder's name. Names are in the
 * order of their UTF-16 units. The classes take turns, so that the first rows show all of them.
 */
export async function readImageFolder(path: string, budget: RowBudget): Promise<readonly Row[]> {
  const classes = await namesIn(path, (entry) => entry.isDirectory() && !entry.name.startsWith("."));
  if (classes.length === 0) throw dataError(path, "The folder has no sub-folders, there must be one for each class");
  const files = await Promise.all(classes.map((name) => imagesIn(join(path, name))));
  const count = files.reduce((sum, each) => sum + each.length, 0);
  if (count > maxImages) {
    throw dataError(path, `There are ${formatCount(count)} images, more than the limit of ${formatCount(maxImages)}`);
  }
  const rows = takeTurns(files).slice(0, Math.max(0, budget.remaining));
  budget.spend(path, rows.length, 0);
  return rows.map((file) => ({ fields: { file, label: basename(join(file, "..")) }, place: file }));
}

async function imagesIn(folder: string): Promise<readonly string[]> {
  const names = await namesIn(folder, (entry) => !entry.isDirectory() && imageName.test(entry.name));
  if (names.length === 0) throw dataError(folder, "The folder of a class has no images (.jpg, .png, .webp…)");
  return names.map((name) => join(folder, name));
}

async function namesIn(folder: string, isWanted: (entry: Dirent) => boolean): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter(isWanted)
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    throw fileError(error, folder);
  }
}

/** The first of every list, then the second of every list that has one, and so on. */
function takeTurns(lists: readonly (readonly string[])[]): readonly string[] {
  const longest = lists.reduce((length, list) => Math.max(length, list.length), 0);
  return Array.from({ length: longest }, (_, turn) => lists.flatMap((list) => list.slice(turn, turn + 1))).flat();
}
