import { dirname, resolve } from "node:path";
import { quote } from "../../../shared/quote.js";
import { allOrNone, type Complaints } from "../../recipe/complaints.js";
import { Fields } from "../../recipe/fields.js";
import type { Located, Position } from "../../recipe/recipe.js";
import { describe } from "../../recipe/wording.js";
import { numberOf, type YamlMapping, type YamlNode } from "../../recipe/yaml/node.js";
import { isJinja, syntaxErrorOf, type Template } from "./template.js";

/** A file that a task needs, to be looked for before anything else is done. */
export interface NeededFile {
  readonly path: string;
  /** A folder is wanted, not a file. */
  readonly isFolder: boolean;
  readonly at: Position;
}

/** What reading a task file gathers on the way. */
export interface Reading {
  readonly file: string;
  readonly complaints: Complaints;
  readonly needed: NeededFile[];
}

/** The entries of one mapping of a task file: what every mapping has, and templates, paths and fractions. */
export class TaskFields extends Fields {
  readonly reading: Reading;
  readonly at: Position;

  constructor(mapping: YamlMapping, reading: Reading) {
    super(mapping, reading.complaints);
    this.reading = reading;
    this.at = mapping.at;
  }

  nested(key: string): TaskFields | undefined {
    const mapping = this.mapping(key);
    return mapping && new TaskFields(mapping, this.reading);
  }

  complain(at: Position, message: string): undefined {
    return this.reading.complaints.add(at, message);
  }

  /** A column's name, or Jinja. */
  column(key: string): Template | undefined {
    const written = this.text(key);
    return written && this.template(written);
  }

  /** Jinja that says something about the row. */
  prose(key: string): Template | undefined {
    const written = this.text(key);
    return written && this.proseOf(key, written);
  }

  proseOf(key: string, written: Located<string>): Template | undefined {
    if (isJinja(written.value)) return this.template(written);
    const advice = /\s/.test(written.value) ? 'put a column in, as in "{{question}}"' : `write "{{${written.value}}}"`;
    return this.complain(written.at, `Key ${quote(key)} says the same for every row, ${advice}`);
  }

  template({ value, at }: Located<string>): Template | undefined {
    const place = `${this.reading.file}:${at.line}:${at.column}`;
    if (!isJinja(value)) return { kind: "column", source: value, place };
    const problem = syntaxErrorOf(value);
    return problem === undefined ? { kind: "jinja", source: value, place } : this.complain(at, problem);
  }

  /** A list of texts with at least one; a number in it stands for what is written. */
  texts(key: string): readonly Located<string>[] | undefined {
    const list = this.list(key);
    if (list === undefined) return undefined;
    if (list.items.length === 0) return this.complain(list.at, `Key ${quote(key)} is an empty list`);
    return allOrNone(list.items.map((item, index) => this.#textOf(key, index, item)));
  }

  #textOf(key: string, index: number, item: YamlNode): Located<string> | undefined {
    const isText = item.kind === "scalar" && item.value !== null && item.value !== "";
    if (isText) return { value: String(item.value), at: item.at };
    return this.complain(item.at, `Item ${index + 1} of ${quote(key)} must be a string, found ${describe(item)}`);
  }

  /** A number from `minimum` to `maximum`. */
  fraction(key: string, minimum: number, maximum: number): number | undefined {
    const node = this.entry(key)?.value;
    if (node === undefined) return undefined;
    const value = numberOf(node);
    if (value !== undefined && value >= minimum && value <= maximum) return value;
    const wanted = `a number from ${minimum} to ${maximum}`;
    return this.complain(node.at, `Key ${quote(key)} must be ${wanted}, found ${describe(node)}`);
  }

  /** A path as written, against the folder of the task file, and noted as needed. */
  needs(written: Located<string>, isFolder = false): string {
    const path = resolve(dirname(this.reading.file), written.value);
    this.reading.needed.push({ path, isFolder, at: written.at });
    return path;
  }

  /** A value that must be there; what `read` complains of is not reported as missing too. */
  required<T>(key: string, read: (key: string) => T | undefined): T | undefined {
    return this.has(key) ? read(key) : this.missing(key);
  }
}
