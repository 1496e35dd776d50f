import { quote } from "../../../shared/quote.js";
import type { Located } from "../../recipe/recipe.js";
import { quoteAll } from "../../recipe/wording.js";
import { type DataFormat, type DataSource, dataFormats, formatOf, knownExtensions } from "../data/source.js";
import type { TaskFields } from "./task-fields.js";

/** `data: x.jsonl`, `data: [a.jsonl, b.jsonl]`, or `data: {path: …, format: …}`. */
export function readDataSource(fields: TaskFields, key = "data"): DataSource | undefined {
  const node = fields.entry(key)?.value;
  if (node === undefined) return fields.missing(key);
  if (node.kind !== "mapping") return sourceOf(fields, readPaths(fields, key), undefined);
  const nested = fields.nested(key);
  if (nested === undefined) return undefined;
  nested.checkKeys(["path", "format"]);
  const format = nested.choice("format", dataFormats);
  if (nested.has("format") && format === undefined) return undefined;
  if (!nested.has("path")) return nested.missing("path");
  return sourceOf(nested, readPaths(nested, "path"), format);
}

function readPaths(fields: TaskFields, key: string): readonly Located<string>[] | undefined {
  if (fields.entry(key)?.value.kind === "list") return fields.texts(key);
  const path = fields.text(key);
  return path && [path];
}

function sourceOf(
  fields: TaskFields,
  paths: readonly Located<string>[] | undefined,
  wanted: DataFormat | undefined,
): DataSource | undefined {
  const [first] = paths ?? [];
  if (paths === undefined || first === undefined) return undefined;
  const formats = paths.map(({ value }) => wanted ?? formatOf(value));
  const unknown = paths[formats.indexOf(undefined)];
  if (unknown !== undefined) {
    const advice = `name it ${quoteAll(knownExtensions)} or say format: one of ${quoteAll(dataFormats)}`;
    return fields.complain(unknown.at, `Cannot tell the format of ${quote(unknown.value)}, ${advice}`);
  }
  const [format] = formats;
  const other = paths[formats.findIndex((each) => each !== format)];
  if (format === undefined || other !== undefined) {
    const problem = `is of another format than ${quote(first.value)}, all files of a task must be of one`;
    return fields.complain((other ?? first).at, `${quote((other ?? first).value)} ${problem}`);
  }
  return { paths: paths.map((path) => fields.needs(path, format === "images")), format };
}
