import { join } from "node:path";
import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";
import { JsonScanner } from "./json-scanner.js";
import { readJsonValue } from "./json-value.js";
import { type Location, resolveInside } from "./location.js";
import { readSmallFile } from "./regular-file.js";

/** Largest `config.json` read; the largest published ones, with a list of unquantised layers, have some 200 KB. */
export const maxConfigBytes = 16 << 20;

/** A model's `config.json`, as it was written and as a value. */
export type Config = { readonly text: string; readonly value: unknown };

/** Reads `config.json` beside the weights, if there is one. Nothing in it is executed or followed. */
export async function readConfig(location: Location): Promise<Config | undefined> {
  const path = await resolveInside(location, "config.json");
  if (path === undefined) return undefined;
  const name = join(location.directory, "config.json");
  const bytes = await readSmallFile(path, { name, maxBytes: maxConfigBytes, followLinks: false });
  return { text: Buffer.from(bytes).toString("utf8"), value: parseConfig(bytes, name) };
}

/** Parses a config like Python does: the last of two equal keys counts, `NaN` and `Infinity` are numbers. */
export function parseConfig(bytes: Uint8Array, file: string): unknown {
  const scanner = new JsonScanner(bytes, (problem, at) => {
    return new AmalgamError("checkpoint_malformed", `Cannot read config ${quote(file)}: it ${problem} (byte ${at})`, {
      details: { file },
    });
  });
  const value = readJsonValue(scanner, { duplicateKeys: "last wins" });
  if (scanner.peek() !== -1) throw scanner.unexpected("the end");
  return value;
}
