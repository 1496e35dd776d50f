import { join, sep } from "node:path";
import { locate, resolveInside } from "../../../shared/checkpoint/location.js";
import { readSmallFile } from "../../../shared/checkpoint/regular-file.js";
import { parseJsonObject } from "../../tokenizer/json.js";

/** What sentence-transformers has put into a checkpoint's folder. */
export interface SentenceFiles {
  /** With a separator at its end. */
  readonly folder: string;
  /** The text of `modules.json`. */
  readonly modules: string;
  /** The text of another file, undefined where it is missing. */
  read(name: string): Promise<string | undefined>;
}

const maxBytes = 1 << 20;

/** Undefined for a checkpoint that was not saved by sentence-transformers. */
export async function sentenceFiles(directory: string): Promise<SentenceFiles | undefined> {
  const location = await locate(directory, []);
  const read = async (name: string): Promise<string | undefined> => {
    const path = await resolveInside(location, name);
    if (path === undefined) return undefined;
    const bytes = await readSmallFile(path, { name: join(location.directory, name), maxBytes, followLinks: false });
    return Buffer.from(bytes).toString();
  };
  const modules = await read("modules.json");
  return modules === undefined ? undefined : { folder: `${location.directory}${sep}`, modules, read };
}

/** Where sentence-transformers keeps it, by the age of the checkpoint (`Transformer.load`). */
const limitFiles = ["bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"].map(
  (family) => `sentence_${family}_config.json`,
);

/** `max_seq_length`: tokens that sentence-transformers embeds, which are often fewer than the model has positions for. */
export async function longestSentence(directory: string): Promise<number | undefined> {
  const files = await sentenceFiles(directory);
  for (const name of files === undefined ? [] : limitFiles) {
    const text = await files?.read(name);
    if (text === undefined) continue;
    const limit = parseJsonObject(Buffer.from(text), join(directory, name))["max_seq_length"];
    return typeof limit === "number" && Number.isSafeInteger(limit) && limit > 0 ? limit : undefined;
  }
  return undefined;
}
