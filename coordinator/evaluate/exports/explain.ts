import { quote } from "../../../shared/quote.js";
import type { Numbers } from "./numbers.js";

/** Rows of a table that are compared with one row of an initializer. Position and type embeddings have fewer. */
const maxRows = 8192;
/** Elements that are compared of tensors of one size. */
const sampled = 64;

/** What became of a tensor on its way into an export, if it can be found out cheaply: `rows of "x"` or `"x" times 0.125`. */
export async function explain(initializer: Numbers, tensors: readonly Numbers[]): Promise<string | undefined> {
  for (const tensor of tensors) {
    const why = (await multipleOf(initializer, tensor)) ?? (await rowsOf(initializer, tensor));
    if (why !== undefined) return why;
  }
  return undefined;
}

/** The same numbers in another shape or element type, or all times one number. */
async function multipleOf(initializer: Numbers, tensor: Numbers): Promise<string | undefined> {
  if (tensor.count !== initializer.count || tensor.count < 2) return undefined;
  const count = Math.min(sampled, tensor.count);
  const [ours, theirs] = [await initializer.read(0, count), await tensor.read(0, count)];
  const ratios = Array.from(ours, (x, i) => x / (theirs[i] ?? 0));
  const [ratio = 0] = ratios;
  if (!Number.isFinite(ratio) || ratio === 0) return undefined;
  if (ratios.some((other) => Math.abs(other / ratio - 1) > 1e-5)) return undefined;
  if (ratio !== 1) return `${quote(tensor.name)} times ${Number(ratio.toPrecision(6))}`;
  const changed = tensor.shape.join() === initializer.shape.join() ? "element type" : "shape";
  return `${quote(tensor.name)} in another ${changed}`;
}

/** One or more rows, looked up or cut out when the export was made. */
async function rowsOf(initializer: Numbers, tensor: Numbers): Promise<string | undefined> {
  const width = initializer.shape.at(-1) ?? 1;
  if (width < 2 || width !== tensor.shape.at(-1) || initializer.count === 0) return undefined;
  const row = await initializer.read(0, width);
  const rows = Math.min(maxRows, tensor.count / width);
  for (let i = 0; i < rows; i++) {
    // Nearly all rows differ in their first number.
    if ((await tensor.read(i * width, 1))[0] !== row[0]) continue;
    const other = await tensor.read(i * width, width);
    if (Array.from(other).every((x, j) => x === row[j])) return `rows of ${quote(tensor.name)}, looked up or repeated`;
  }
  return undefined;
}
