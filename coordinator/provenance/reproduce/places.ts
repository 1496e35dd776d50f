import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { isRemote } from "../../../shared/remote/url.js";
import { didYouMeanOrOneOf } from "../../recipe/wording.js";

/** Where models are that are not where the manifest's recipe looks for them: folders or addresses, by name. */
export type Places = ReadonlyMap<string, string>;

/**
 * Reads `NAME=PATH` words. Both may hold `=`, so the name is the longest that the recipe knows. Paths are relative to the
 * current folder. A name that nothing has is a `usage` error.
 */
export function readPlaces(words: readonly string[], known: ReadonlySet<string>): Places {
  return new Map(
    words.map((word) => {
      const ends = [...word.matchAll(/=/g)].map(({ index }) => index);
      const end = ends.findLast((place) => known.has(word.slice(0, place)));
      if (end !== undefined) {
        const path = word.slice(end + 1);
        if (path === "") throw new AmalgamError("usage", `Cannot take --model ${quote(word)}: its path is empty`);
        return [word.slice(0, end), isRemote(path) ? path : resolve(path)] as const;
      }
      const name = word.slice(0, ends[0] ?? word.length);
      const hint = didYouMeanOrOneOf(name, [...known]);
      throw new AmalgamError("usage", `Cannot take --model ${quote(word)}: no model is called ${quote(name)}${hint}`);
    }),
  );
}

/** Where a folder is that a command line named: beside the manifest, or else from the current folder. */
export async function findNamed(name: string, places: Places, folder: string): Promise<string> {
  const named = places.get(name);
  if (named !== undefined) return named;
  for (const path of [resolve(folder, name), resolve(name)]) {
    const isThere = await stat(path).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  const remedy = `say where it is with --model ${quote(`${name}=PATH`)}`;
  throw new AmalgamError("usage", `Cannot find ${quote(name)}, neither in ${quote(join(folder))} nor here: ${remedy}`);
}
