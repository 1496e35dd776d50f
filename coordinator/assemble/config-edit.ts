import { JsonScanner } from "../../shared/checkpoint/json-scanner.js";
import { type JsonValue, readJsonValue } from "../../shared/checkpoint/json-value.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { ConfigEdit } from "../architecture/config-edits.js";

/** A key may be as long as a config may be: one that is odd is copied, not refused. */
const maxKeyBytes = 16 << 20;

/** Keys in the path of an edit; config.json needs two. */
const maxPathLength = 16;

const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const colon = 0x3a;

/** Edits of one object: values, and edits of objects inside. */
type EditTree = Map<string, { readonly value: JsonValue } | EditTree>;

/** A stretch of bytes and the text that takes its place. */
interface Change {
  readonly begin: number;
  readonly end: number;
  readonly text: string;
}

/**
 * The text of a `config.json` with values set. Every other byte stays as it was written, and so do the items of a list
 * that are in the new one too: printing the parsed value anew would turn `10000.0` into `10000`, which some readers
 * refuse, and lose the digits of large integers. Keys that are missing are added, behind the last one of their object.
 * Of equal paths the last edit counts, of equal keys in the text the last one, as readers have it.
 *
 * @throws AmalgamError `checkpoint_malformed` when the text is no JSON object, or a path leads through something else
 */
export function editConfig(text: string, edits: readonly ConfigEdit[]): string {
  const bytes = Buffer.from(text);
  const scanner = new JsonScanner(bytes, (problem, at) => refusal(`it ${problem} (byte ${at})`));
  const changes = changesOf(scanner, bytes, treeOf(edits));
  const parts: (Buffer | string)[] = [];
  let copied = 0;
  for (const { begin, end, text } of changes) {
    parts.push(bytes.toString("utf8", copied, begin), text);
    copied = end;
  }
  return parts.join("") + bytes.toString("utf8", copied);
}

function treeOf(edits: readonly ConfigEdit[]): EditTree {
  const root: EditTree = new Map();
  for (const { path, value } of edits) {
    const last = path.at(-1);
    if (last === undefined || path.length > maxPathLength)
      throw new RangeError(`A path has 1 to ${maxPathLength} keys`);
    let tree = root;
    for (const key of path.slice(0, -1)) {
      const known = tree.get(key);
      const inner: EditTree = known instanceof Map ? known : new Map();
      tree.set(key, inner);
      tree = inner;
    }
    tree.set(last, { value });
  }
  return root;
}

/** Reads one object and returns what is to be changed in it, in the order of the text. */
function changesOf(scanner: JsonScanner, bytes: Buffer, tree: EditTree): readonly Change[] {
  scanner.expect(openBrace);
  const changes = new Map<string, readonly Change[]>();
  let end = scanner.at;
  let gap = scanner.at;
  let isEmpty = true;
  let space = "";
  let more = !scanner.skip(closeBrace);
  while (more) {
    scanner.peek();
    space = bytes.toString("utf8", gap, scanner.at);
    const key = scanner.string(maxKeyBytes);
    scanner.expect(colon);
    const edit = tree.get(key);
    // A key that comes again makes what was found before void: it is taken out and put in again, at its new place.
    if (edit !== undefined) changes.delete(key);
    if (edit instanceof Map) {
      if (scanner.peek() !== openBrace)
        throw refusal(`${quote(key)} in it is no object, and something in it is to be set`);
      changes.set(key, changesOf(scanner, bytes, edit));
    } else {
      scanner.peek();
      const begin = scanner.at;
      readJsonValue(scanner, { duplicateKeys: "last wins" });
      if (edit !== undefined) {
        const text = rewritten(bytes.subarray(begin, scanner.at), edit.value);
        changes.set(key, [{ begin, end: scanner.at, text }]);
      }
    }
    end = scanner.at;
    isEmpty = false;
    more = scanner.another(closeBrace);
    gap = scanner.at;
  }
  const missing = [...tree].filter(([key]) => !changes.has(key));
  const added = missing.map(([key, edit], i) => {
    return `${isEmpty && i === 0 ? "" : ","}${space}${JSON.stringify(key)}: ${JSON.stringify(addedValue(edit))}`;
  });
  return [...[...changes.values()].flat(), ...(added.length > 0 ? [{ begin: end, end, text: added.join("") }] : [])];
}

function addedValue(edit: { readonly value: JsonValue } | EditTree): JsonValue {
  if (!(edit instanceof Map)) return edit.value;
  return Object.fromEntries([...edit].map(([key, inner]) => [key, addedValue(inner)]));
}

/** A value as text, a list with the line breaks of the old one and with its items as they were written. */
function rewritten(old: Buffer, value: JsonValue): string {
  if (!Array.isArray(value) || old[0] !== openBracket) return JSON.stringify(value);
  const written = new Map<string, string>();
  const scanner = new JsonScanner(old, (problem, at) => refusal(`a list in it ${problem} (byte ${at})`));
  scanner.expect(openBracket);
  for (let more = !scanner.skip(closeBracket); more; more = scanner.another(closeBracket)) {
    scanner.peek();
    const begin = scanner.at;
    const item = readJsonValue(scanner, { duplicateKeys: "last wins" });
    written.set(keyOf(item), old.toString("utf8", begin, scanner.at));
  }
  const items = value.map((item: JsonValue) => written.get(keyOf(item)) ?? JSON.stringify(item));
  const [, opening = "", closing = ""] = /^\[(\s*)[\s\S]*?(\s*)\]$/.exec(old.toString()) ?? [];
  return items.length === 0 ? "[]" : `[${opening}${items.join(`,${opening || " "}`)}${closing}]`;
}

/** Tells numbers apart that JSON has no words for. */
function keyOf(item: JsonValue): string {
  return typeof item === "number" ? String(item) : JSON.stringify(item);
}

function refusal(problem: string): AmalgamError {
  return new AmalgamError("checkpoint_malformed", `Cannot edit config.json: ${problem}`);
}
