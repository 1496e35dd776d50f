import { quote } from "../../shared/quote.js";
import { suggest } from "../../shared/suggest.js";
import type { Complaints } from "./complaints.js";
import type { Located } from "./recipe.js";
import { describe, quoteAll } from "./wording.js";
import { isNull, type YamlEntry, type YamlList, type YamlMapping, type YamlNode } from "./yaml/node.js";

/**
 * The entries of one mapping, handed out with the type that is asked for. Whatever is not of that type is a complaint
 * and undefined. An entry without a value counts as absent, as in mergekit: people comment out what it held.
 */
export class Fields {
  readonly #mapping: YamlMapping;
  /** Keys that an unknown key was probably meant to be; they are not reported as missing too. */
  readonly #meant = new Set<string>();
  readonly #complaints: Complaints;

  constructor(mapping: YamlMapping, complaints: Complaints) {
    this.#mapping = mapping;
    this.#complaints = complaints;
  }

  /**
   * Complains about each key that is not known. `notYet` are keys that are known but not supported, each with the rest
   * of the sentence that says so.
   */
  checkKeys(known: readonly string[], notYet: ReadonlyMap<string, string> = new Map()): void {
    for (const [key, { keyAt, value }] of this.#mapping.entries) {
      const remedy = notYet.get(key);
      if (known.includes(key) || (remedy !== undefined && isNull(value))) continue;
      if (remedy !== undefined) {
        this.#complaints.add(keyAt, `Key ${quote(key)} is not supported yet, ${remedy}`);
        continue;
      }
      const meant = suggest(key, [...known, ...notYet.keys()]);
      if (meant !== undefined) this.#meant.add(meant);
      const hint = meant === undefined ? `expected one of ${quoteAll(known)}` : `did you mean ${quote(meant)}?`;
      this.#complaints.add(keyAt, `Unknown key ${quote(key)}, ${hint}`);
    }
  }

  entry(key: string): YamlEntry | undefined {
    const entry = this.#mapping.entries.get(key);
    return entry === undefined || isNull(entry.value) ? undefined : entry;
  }

  has(key: string): boolean {
    return this.entry(key) !== undefined;
  }

  /** Complains that a key that must be there is not, or has no value. */
  missing(key: string, hint = ""): undefined {
    if (this.#meant.has(key)) return undefined;
    const entry = this.#mapping.entries.get(key);
    return entry === undefined
      ? this.#complaints.add(this.#mapping.at, `Missing key ${quote(key)}${hint}`)
      : this.#complaints.add(entry.keyAt, `Key ${quote(key)} has no value`);
  }

  text(key: string): Located<string> | undefined {
    const node = this.entry(key)?.value;
    if (node === undefined) return undefined;
    if (node.kind !== "scalar" || typeof node.value !== "string") return this.#mistyped(key, "a string", node);
    return node.value.trim() === ""
      ? this.#complaints.add(node.at, `Key ${quote(key)} is an empty string`)
      : { value: node.value, at: node.at };
  }

  list(key: string): YamlList | undefined {
    const node = this.entry(key)?.value;
    return node === undefined || node.kind === "list" ? node : this.#mistyped(key, "a list", node);
  }

  mapping(key: string): YamlMapping | undefined {
    const node = this.entry(key)?.value;
    return node === undefined || node.kind === "mapping" ? node : this.#mistyped(key, "a mapping", node);
  }

  #mistyped(key: string, wanted: string, found: YamlNode): undefined {
    return this.#complaints.add(found.at, `Key ${quote(key)} must be ${wanted}, found ${describe(found)}`);
  }
}
