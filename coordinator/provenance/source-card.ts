import { join } from "node:path";
import { locate, resolveInside } from "../../shared/checkpoint/location.js";
import { openRegularFile, readFully } from "../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../shared/errors.js";
import { Complaints } from "../recipe/complaints.js";
import type { YamlMapping, YamlNode } from "../recipe/yaml/node.js";
import { readYaml } from "../recipe/yaml/read.js";

const cardName = "README.md";

/** What is read of a card. Its front matter comes first, and may have as many bytes as a recipe. */
const maxCardBytes = 300 * 1024;
/** More than any published name of a licence, a language or a data set. */
const maxWordLength = 200;
const maxWords = 200;

/** What a source says of itself in the front matter of its model card, in the Hub's words. */
export interface SourceCard {
  /** The model or the adapter, as the recipe names it. */
  readonly name: string;
  /** An identifier of the Hub's, in lower case, such as `apache-2.0`. */
  readonly license?: string | undefined;
  /** With `other`: what the licence is called, and where its text is. */
  readonly licenseName?: string | undefined;
  readonly licenseLink?: string | undefined;
  readonly languages: readonly string[];
  readonly datasets: readonly string[];
  readonly pipelineTag?: string | undefined;
}

/**
 * The card of a model in this folder. A folder without one, or with one that cannot be read, has a card that says
 * nothing: whatever it is, it stops no merge.
 */
export async function readSourceCard(name: string, directory: string): Promise<SourceCard> {
  try {
    const path = await resolveInside(await locate(directory, []), cardName);
    return path === undefined ? parseCard(name, "") : parseCard(name, await readStart(path));
  } catch (error) {
    if (AmalgamError.from(error).code === "internal") throw error;
    return parseCard(name, "");
  }
}

async function readStart(path: string): Promise<string> {
  const { handle, bytes } = await openRegularFile(path, { followLinks: false });
  try {
    const start = Buffer.alloc(Math.min(bytes, maxCardBytes));
    return start.toString("utf8", 0, await readFully(handle, start, 0));
  } finally {
    await handle.close();
  }
}

/** Reads a card's text. What is not of the form that the Hub asks for counts as not said. */
export function parseCard(name: string, text: string): SourceCard {
  const front = frontMatter(name, text);
  const words = (key: string): readonly string[] => wordsOf(front?.entries.get(key)?.value);
  const only = (key: string): string | undefined => {
    const found = words(key);
    return found.length === 1 ? found[0] : undefined;
  };
  const licenses = words("license");
  return {
    name,
    // A card that names several leaves open which of them is meant.
    license: licenses.length > 1 ? "other" : licenses[0]?.toLowerCase(),
    licenseName: licenses.length > 1 ? licenses.join("-or-").toLowerCase() : only("license_name"),
    licenseLink: only("license_link"),
    languages: words("language"),
    datasets: words("datasets"),
    pipelineTag: only("pipeline_tag"),
  };
}

function frontMatter(name: string, text: string): YamlMapping | undefined {
  const [, front] = /^\uFEFF?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)/s.exec(text) ?? [];
  if (front === undefined) return undefined;
  try {
    const [root] = readYaml(front, new Complaints(join(name, cardName)), "model card");
    return root?.kind === "mapping" ? root : undefined;
  } catch (error) {
    if (error instanceof AmalgamError) return undefined;
    throw error;
  }
}

/** A word, or a list of them. */
function wordsOf(node: YamlNode | undefined): readonly string[] {
  if (node === undefined || node.kind === "mapping") return [];
  const nodes = node.kind === "list" ? node.items.slice(0, maxWords) : [node];
  // YAML 1.1 writers put Norwegian in quotes, and others write `no`, which the core schema leaves a string.
  const words = nodes.flatMap((item) => (item.kind === "scalar" && item.value !== null ? [String(item.value)] : []));
  return [...new Set(words.map((word) => word.trim()).filter(isPlain))];
}

function isPlain(word: string): boolean {
  return word !== "" && word.length <= maxWordLength && !/[\p{C}\p{Zl}\p{Zp}]/u.test(word);
}
