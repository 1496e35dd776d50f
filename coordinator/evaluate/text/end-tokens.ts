import { join } from "node:path";
import { locate, resolveInside } from "../../../shared/checkpoint/location.js";
import { readSmallFile } from "../../../shared/checkpoint/regular-file.js";
import { type JsonObject, parseJsonObject } from "../../tokenizer/json.js";
import type { TextTokenizer } from "./tokenizer.js";

const maxBytes = 1 << 20;

/**
 * Tokens that the model itself ends a text with: `eos_token_id` of generation_config.json, else of config.json, and the
 * tokenizer's own.
 */
export async function endTokens(
  directory: string,
  config: unknown,
  tokenizer: TextTokenizer,
): Promise<readonly number[]> {
  const generation = await readJson(directory, "generation_config.json");
  const named = generation?.["eos_token_id"] ?? (config as JsonObject | undefined)?.["eos_token_id"];
  const ends = [named, tokenizer.eos].flat().filter((id): id is number => Number.isSafeInteger(id) && Number(id) >= 0);
  return [...new Set(ends)];
}

async function readJson(directory: string, name: string): Promise<JsonObject | undefined> {
  const location = await locate(directory, []);
  const path = await resolveInside(location, name);
  if (path === undefined) return undefined;
  const file = join(location.directory, name);
  return parseJsonObject(await readSmallFile(path, { name: file, maxBytes, followLinks: false }), file);
}
