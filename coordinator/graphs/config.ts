import { AmalgamError } from "../../shared/errors.js";
import { formatCount, quote } from "../../shared/quote.js";
import { suggest } from "../../shared/suggest.js";
import { isObject } from "../tokenizer/json.js";

/**
 * Reads a parsed config.json, or a section of it. `null` is as good as a missing key, as transformers writes it. Every
 * method throws `checkpoint_mismatch`, which names file, key and value, for a value of the wrong kind, and for a key that
 * is missing where no default is given.
 */
export class ConfigReader {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #file: string;
  /** Of the section, as in `text_config.rope_parameters`; empty for the whole. */
  readonly #path: string;

  constructor(config: unknown, file: string, path = "") {
    this.#file = file;
    this.#path = path;
    if (!isObject(config)) throw this.#error(`${path === "" ? "it" : quote(path)} is not an object`);
    this.#values = config;
  }

  has(key: string): boolean {
    return this.#value(key) !== undefined;
  }

  /** Whether the key is there with `null`, which is not the same as a missing key to models that have a default. */
  isNull(key: string): boolean {
    return Object.hasOwn(this.#values, key) && this.#values[key] === null;
  }

  /** A whole number, at least 0. */
  count(key: string, byDefault?: number): number {
    const value = this.#value(key) ?? byDefault;
    if (!isCount(value)) throw this.#wrong(key, "a whole number");
    return value;
  }

  /** A whole number from 1 to `limit`: sizes, and how many there are of something. */
  size(key: string, byDefault?: number, limit: number = maxSize): number {
    const value = this.#value(key) ?? byDefault;
    if (!isCount(value) || value === 0) throw this.#wrong(key, "a whole number above 0");
    if (value > limit) throw this.fail(key, `the limit is ${formatCount(limit)}`);
    return value;
  }

  number(key: string, byDefault?: number): number {
    const value = this.#value(key) ?? byDefault;
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.#wrong(key, "a number");
    return value;
  }

  flag(key: string, byDefault?: boolean): boolean {
    const value = this.#value(key) ?? byDefault;
    if (typeof value !== "boolean") throw this.#wrong(key, "true or false");
    return value;
  }

  /** A text. Where `allowed` is given, one of those. */
  word<Word extends string = string>(key: string, byDefault?: Word, allowed?: readonly Word[]): Word {
    const value = this.#value(key) ?? byDefault;
    if (typeof value !== "string") throw this.#wrong(key, "a text");
    if (allowed !== undefined && !(allowed as readonly string[]).includes(value)) {
      const meant = suggest(value, allowed);
      const hint = meant === undefined ? "" : `; did you mean ${quote(meant)}?`;
      throw this.fail(
        key,
        `which is not supported, only ${allowed.map(quote).join(", ")} ${be(allowed.length)}${hint}`,
      );
    }
    return value as Word;
  }

  /** Numbers. `length`: how many there must be. */
  numbers(key: string, length?: number): readonly number[] {
    const value = this.#list(key, (item) => typeof item === "number" && Number.isFinite(item), "a list of numbers");
    this.#assertLength(key, value.length, length);
    return value as readonly number[];
  }

  /** Texts. `length`: how many there must be. */
  words(key: string, length?: number): readonly string[] {
    const value = this.#list(key, (item) => typeof item === "string", "a list of texts");
    this.#assertLength(key, value.length, length);
    return value as readonly string[];
  }

  /** The object under `key`, with the same methods; undefined where there is none. */
  section(key: string): ConfigReader | undefined {
    const value = this.#value(key);
    return value === undefined ? undefined : new ConfigReader(value, this.#file, this.#name(key));
  }

  /** The keys that have a value. */
  keys(): readonly string[] {
    return Object.keys(this.#values).filter((key) => this.has(key));
  }

  /** What to throw when a value makes sense but cannot be followed: `problem` comes after the key and its value. */
  fail(key: string, problem: string): AmalgamError {
    const value = this.#value(key);
    const is = value === undefined ? "missing" : brief(value);
    return this.#error(`${quote(this.#name(key))} is ${is}, ${problem}`, key);
  }

  #value(key: string): unknown {
    return Object.hasOwn(this.#values, key) ? (this.#values[key] ?? undefined) : undefined;
  }

  #list(key: string, isItem: (item: unknown) => boolean, expected: string): readonly unknown[] {
    const value = this.#value(key);
    if (!Array.isArray(value) || !value.every(isItem)) throw this.#wrong(key, expected);
    return value;
  }

  #assertLength(key: string, length: number, expected: number | undefined): void {
    if (expected === undefined || length === expected) return;
    throw this.#error(`${quote(this.#name(key))} has length ${length} instead of ${expected}`, key);
  }

  #wrong(key: string, expected: string): AmalgamError {
    return this.fail(key, `expected ${expected}`);
  }

  #name(key: string): string {
    return this.#path === "" ? key : `${this.#path}.${key}`;
  }

  #error(problem: string, key?: string): AmalgamError {
    const details = { file: this.#file, ...(key === undefined ? {} : { key: this.#name(key) }) };
    return new AmalgamError("checkpoint_mismatch", `Cannot build a graph from ${quote(this.#file)}: ${problem}`, {
      details,
    });
  }
}

/** More than any dimension of a published model, and little enough that products of a few stay exact. */
const maxSize = 2 ** 24;

/** Layers are written out one by one, so their number bounds the size of a graph. */
export const maxLayers = 1_024;

/** The names of a classifier's outputs in their order, where the config has an `id2label`. */
export function readLabels(config: ConfigReader): readonly string[] | undefined {
  const labels = config.section("id2label");
  return labels?.keys().map((_, i) => labels.word(String(i)));
}

/** Longer values are cut in messages. */
const maxShown = 80;

function brief(value: unknown): string {
  if (typeof value === "string") return quote(value.slice(0, maxShown));
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > maxShown ? `${text.slice(0, maxShown)}…` : text;
}

function be(count: number): string {
  return count === 1 ? "is" : "are";
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
