import { quote } from "../../shared/quote.js";
import { suggest } from "../../shared/suggest.js";
import type { Complaints } from "./complaints.js";
import type { Located } from "./recipe.js";
import { describe, didYouMeanOrOneOf, quoteAll } from "./wording.js";
import {
  asBoolean,
  isNull,
  numberOf,
  type YamlEntry,
  type YamlList,
  type YamlMapping,
  type YamlNode,
} from "./yaml/node.js";

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

  /** Complains about each key that is not known. */
  checkKeys(known: readonly string[]): void {
    for (const [key, { keyAt }] of this.#mapping.entries) {
      if (known.includes(key)) continue;
      const meant = suggest(key, known);
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

  /** Complains where more than one of these keys has a value, and where none has, if one is needed. */
  checkOnlyOne(keys: readonly [string, string, ...string[]], isNeeded: boolean): void {
    const [first, ...others] = [...this.#mapping.entries.keys()].filter((key) => keys.includes(key) && this.has(key));
    for (const other of others) {
      const at = this.entry(other)?.keyAt ?? this.#mapping.at;
      this.#complaints.add(at, `Key ${quote(other)} cannot stand beside ${quote(String(first))}, remove one of them`);
    }
    if (first !== undefined || !isNeeded || keys.some((key) => this.#meant.has(key))) return;
    const blank = keys.find((key) => this.#mapping.entries.has(key));
    if (blank !== undefined) this.missing(blank);
    else this.#complaints.add(this.#mapping.at, `Missing one of the keys ${quoteAll(keys)}`);
  }

  /** Complains that a key that must be there is not, or has no value. */
  missing(key: string, hint = ""): undefined {
    if (this.#meant.has(key)) return undefined;
    const entry = this.#mapping.entries.get(key);
    return entry === undefined
      ? this.#complaints.add(this.#mapping.at, `Missing key ${quote(key)}${hint}`)
      : this.#complaints.add(entry.keyAt, `Key ${quote(key)} has no value`);
  }

  /** A string that may be blank. */
  string(key: string): Located<string> | undefined {
    const node = this.entry(key)?.value;
    if (node === undefined) return undefined;
    if (node.kind !== "scalar" || typeof node.value !== "string") return this.#mistyped(key, "a string", node);
    return { value: node.value, at: node.at };
  }

  text(key: string): Located<string> | undefined {
    const text = this.string(key);
    return text?.value.trim() === "" ? this.#complaints.add(text.at, `Key ${quote(key)} is an empty string`) : text;
  }

  list(key: string): YamlList | undefined {
    const node = this.entry(key)?.value;
    return node === undefined || node.kind === "list" ? node : this.#mistyped(key, "a list", node);
  }

  mapping(key: string): YamlMapping | undefined {
    const node = this.entry(key)?.value;
    return node === undefined || node.kind === "mapping" ? node : this.#mistyped(key, "a mapping", node);
  }

  boolean(key: string): boolean | undefined {
    const node = this.entry(key)?.value;
    if (node === undefined) return undefined;
    const value = node.kind === "scalar" && node.value !== null ? asBoolean(node.value) : undefined;
    return value ?? this.#mistyped(key, "true or false", node);
  }

  choice<const Word extends string>(key: string, words: readonly Word[]): Word | undefined {
    const written = this.text(key);
    const word = words.find((candidate) => candidate === written?.value);
    if (written === undefined || word !== undefined) return word;
    const { value, at } = written;
    return this.#complaints.add(at, `Key ${quote(key)} cannot be ${quote(value)}${didYouMeanOrOneOf(value, words)}`);
  }

  wholeNumber(key: string, minimum: number, maximum = Number.MAX_SAFE_INTEGER): number | undefined {
    const node = this.entry(key)?.value;
    if (node === undefined) return undefined;
    const value = numberOf(node);
    if (value !== undefined && Number.isSafeInteger(value) && value >= minimum && value <= maximum) return value;
    return this.#mistyped(key, `a whole number from ${minimum} to ${maximum}`, node);
  }

  #mistyped(key: string, wanted: string, found: YamlNode): undefined {
    return this.#complaints.add(found.at, `Key ${quote(key)} must be ${wanted}, found ${describe(found)}`);
  }
}
