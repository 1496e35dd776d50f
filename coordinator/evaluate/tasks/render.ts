import { Environment, Interpreter } from "@huggingface/jinja";
import type { AmalgamError } from "../../../shared/errors.js";
import { quote, quoteList } from "../../../shared/quote.js";
import { suggest } from "../../../shared/suggest.js";
import { dataError } from "../data/complain.js";
import type { Row } from "../types.js";
import { compileTemplate, type Template } from "./template.js";
import type { FieldPath } from "./template-fields.js";

/**
 * What a template says about a row. A column, and a template that is one `{{ expression }}` and nothing else, give the
 * value itself: a list, a number, null. All others give text. A template sees the row's fields and, as `row`, all of
 * them; nothing else. Throws an error with the row's place where the row has not what the template asks for.
 */
export function render(template: Template, row: Row): unknown {
  const { program, expression, path, names, required } = compileTemplate(template);
  const fields = "row" in row.fields ? row.fields : { ...row.fields, row: row.fields };
  for (const each of required) assertHas(fields, each, row, template);
  if (path !== undefined) return path.reduce<unknown>((value, key) => memberOf(value, key), fields);
  try {
    const environment = new Environment();
    for (const [name, value] of constants) environment.set(name, value);
    for (const name of names) {
      if (Object.hasOwn(fields, name)) environment.set(name, plain(fields[name]));
    }
    return toPlain(new Interpreter(environment).evaluate(expression ?? program, environment));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw dataError(row.place, `Cannot fill in the template at ${template.place}: ${reason}`, error);
  }
}

/** What a template says about a row, as text. Numbers and booleans are written out; lists, mappings and null refused. */
export function renderText(template: Template, row: Row): string {
  const value = render(template, row);
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  throw wrongType(template, row, "text", value);
}

/** A number, or a text that writes one, as all the columns of CSV do. NaN and infinities are refused. */
export function renderNumber(template: Template, row: Row): number {
  const value = render(template, row);
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof number === "number" && Number.isFinite(number)) return number;
  throw wrongType(template, row, "a number", value);
}

/** A list: the value itself, or a text that writes one as JSON, as a column of CSV can. */
export function renderList(template: Template, row: Row): readonly unknown[] {
  const value = render(template, row);
  const list = typeof value === "string" && value.trim().startsWith("[") ? parseOrSame(value) : value;
  if (Array.isArray(list)) return list;
  throw wrongType(template, row, "a list", value);
}

/**
 * An image: the path of a file, or its bytes. In tables of Hugging Face's an image is a mapping of both, the bytes null
 * where the image lies beside the table.
 */
export function renderImage(template: Template, row: Row): string | Uint8Array {
  const value = render(template, row);
  const { bytes, path } = isMapping(value) ? value : { bytes: value, path: value };
  if (bytes instanceof Uint8Array) return bytes;
  if (typeof path === "string") return path;
  throw wrongType(template, row, 'an image: a path or bytes, or a mapping with "path" or "bytes"', value);
}

const constants: readonly (readonly [string, boolean | null])[] = [
  ["true", true],
  ["True", true],
  ["false", false],
  ["False", false],
  ["none", null],
  ["None", null],
];

/** Methods of a mapping in Jinja, which a path may end in. */
const mappingMethods: ReadonlySet<string> = new Set(["get", "items", "keys", "values"]);

function assertHas(fields: Row["fields"], path: FieldPath, row: Row, { place }: Template): void {
  let value: unknown = fields;
  for (const [depth, key] of path.entries()) {
    if (Array.isArray(value)) {
      if (key === "length") return;
      const name = quote(path.slice(0, depth).join("."));
      const advice = `name one item with ${quote("[0]")} or map over them with ${quote(`| map(attribute="${key}")`)}`;
      throw dataError(row.place, `Field ${name} is a list without a field ${quote(key)}, ${advice} at ${place}`);
    }
    if (!isMapping(value)) return;
    if (Object.hasOwn(value, key)) value = value[key];
    else if (depth > 0 && mappingMethods.has(key)) return;
    else throw dataError(row.place, missing(path.slice(0, depth + 1), value, row, place));
  }
}

function missing(path: FieldPath, holder: Readonly<Record<string, unknown>>, row: Row, place: string): string {
  const there = Object.keys(path.length === 1 ? row.fields : holder);
  const meant = suggest(path.at(-1) ?? "", there);
  const hint = meant === undefined ? "there" : `did you mean ${quote(meant)}? There`;
  const list = there.length === 0 ? "none at all" : quoteList(there, 12);
  return `No field ${quote(path.join("."))}, which ${place} asks for; ${hint} are ${list}`;
}

function wrongType({ place }: Template, row: Row, wanted: string, value: unknown): AmalgamError {
  return dataError(row.place, `What ${place} asks for must be ${wanted}, found ${describe(value)}`);
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (typeof value === "string") return `the text ${quote(value)}`;
  if (Array.isArray(value)) return "a list";
  if (value instanceof Uint8Array) return "bytes";
  return typeof value === "object" ? "a mapping" : `the ${typeof value} ${String(value)}`;
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !ArrayBuffer.isView(value);
}

function memberOf(value: unknown, key: string): unknown {
  if (Array.isArray(value) && key === "length") return value.length;
  return isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** Binary columns are left out of what templates see: the interpreter would copy them a byte at a time. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (ArrayBuffer.isView(value)) return undefined;
  if (Array.isArray(value)) return value.map(plain);
  if (!isMapping(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** From the interpreter's values to plain ones. */
function toPlain({ value }: { readonly value?: unknown }): unknown {
  if (Array.isArray(value)) return value.map(toPlain);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, toPlain(item)]));
  return value;
}

function parseOrSame(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
