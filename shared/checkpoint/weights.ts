import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { AmalgamError } from "../errors.js";
import { quote, quoteList } from "../quote.js";
import { indexFileName } from "./index-json.js";
import { type Location, resolveInside } from "./location.js";
import { pickleAdvice } from "./shard-name.js";

/** Where the tensors of a checkpoint are listed: in an index that names shards, or in one file. */
export type Weights = {
  readonly kind: "index" | "file";
  readonly name: string;
  /** Another file that could be taken for the weights. */
  readonly beside?: string;
};

const singleFileName = "model.safetensors";

/**
 * Chooses the weights of a folder: `model.safetensors.index.json`, else `model.safetensors`, else the only other index,
 * else the only `.safetensors` file (adapters and diffusion models have names of their own). More than one to choose
 * from is an error, as is a folder that only has pickles.
 */
export async function chooseWeights(location: Location): Promise<Weights> {
  if (location.file !== undefined) return chooseNamed(location, location.file);
  const names = (await readdir(location.directory)).toSorted();
  if (names.includes(indexFileName)) {
    const index = { kind: "index", name: indexFileName } as const;
    return names.includes(singleFileName) ? { ...index, beside: singleFileName } : index;
  }
  if (names.includes(singleFileName)) return { kind: "file", name: singleFileName };

  const indexes = names.filter((name) => name.endsWith(".safetensors.index.json"));
  const files = names.filter((name) => name.endsWith(".safetensors"));
  const [index, secondIndex] = indexes;
  if (index !== undefined && secondIndex === undefined) return { kind: "index", name: index };
  if (index !== undefined) throw refuse(location, `it has ${indexes.length} indexes, ${quoteList(indexes)}`);
  const [file, secondFile] = files;
  if (file !== undefined && secondFile === undefined) return { kind: "file", name: file };
  if (file !== undefined) {
    const listed = `${files.length} safetensors files, ${quoteList(files)}`;
    throw refuse(location, `it has ${listed}, and no ${quote(indexFileName)} to say what belongs together`);
  }
  throw refuse(location, await whyNone(location, names));
}

function chooseNamed(location: Location, file: string): Weights {
  if (file.endsWith(".safetensors")) return { kind: "file", name: file };
  if (file.endsWith(".safetensors.index.json")) return { kind: "index", name: file };
  const path = join(location.directory, file);
  const problem = isPickle(file) ? pickleAdvice : "it is neither a folder nor a safetensors file";
  throw new AmalgamError("checkpoint_malformed", `Cannot open checkpoint ${quote(path)}: ${problem}`, {
    details: { file: path },
  });
}

/** What to say of a folder without a single safetensors file. */
async function whyNone(location: Location, names: readonly string[]): Promise<string> {
  const pickles = names.filter(isPickle);
  if (pickles.length > 0) return `it only has ${quoteList(pickles)}, and ${pickleAdvice}`;
  if (names.includes("snapshots") && (await resolveInside(location, "snapshots")) !== undefined) {
    return 'it is a Hugging Face cache folder; name one of the folders in its "snapshots"';
  }
  return names.length === 0 ? "the folder is empty" : "it has no safetensors file";
}

function isPickle(name: string): boolean {
  return /\.(?:bin|pt|pth|ckpt|pkl)$/.test(name) || name.endsWith(".bin.index.json");
}

function refuse(location: Location, problem: string): AmalgamError {
  return new AmalgamError("checkpoint_malformed", `Cannot open checkpoint ${quote(location.directory)}: ${problem}`, {
    details: { file: location.directory },
  });
}
