import { quote, quoteList } from "../../../../../shared/quote.js";
import { type Point, type RangeDimension, type Space, startOf } from "../../../space.js";

// Frank-Wolfe merging moves in the convex hull of checkpoints: each model alone, and the base, which is all zero. With
// granularity `group` every group of layers has a hull of its own, and the space is their product.

/** Coefficients that move together, and the corners of their hull. */
export interface Block {
  /** The group of layers; undefined: all. */
  readonly group: string | undefined;
  readonly vertices: readonly Vertex[];
}

export interface Vertex {
  /** For people: "rotated", "rotated in layers 0-3", "base". */
  readonly name: string;
  /** Of the block's dimensions, by name. */
  readonly values: Readonly<Record<string, number>>;
}

/** The coefficient that a dimension has where its model is alone. @default its start */
export function aloneValue(dimension: RangeDimension, scale: number | undefined): number {
  return scale ?? Number(startOf(dimension));
}

/** The blocks of a space that {@link refusesHull} has nothing against. */
export function blocksOf(space: Space, { byGroup, scale }: { byGroup: boolean; scale: number | undefined }): Block[] {
  const ranges = space.filter((dimension) => dimension.kind === "range");
  const groups = byGroup ? [...new Set(ranges.map(({ group }) => group))] : [undefined];
  return groups.map((group) => {
    const inside = byGroup ? ranges.filter((dimension) => dimension.group === group) : ranges;
    const where = group === undefined ? "" : ` in ${group}`;
    const models = [...new Set(inside.map(({ model }) => model))];
    const alone = models.map((model) => ({
      name: `${model ?? ""}${where}`,
      values: Object.fromEntries(
        inside.map((dimension) => [dimension.name, dimension.model === model ? aloneValue(dimension, scale) : 0]),
      ),
    }));
    const base = { name: `base${where}`, values: Object.fromEntries(inside.map(({ name }) => [name, 0])) };
    return { group, vertices: [...alone, base] };
  });
}

/** The mean of the models, without the base: plain averaging. */
export function averageOf(blocks: readonly Block[]): Record<string, number> {
  const models = blocks.map(({ vertices }) => vertices.slice(0, -1));
  return Object.fromEntries(
    models.flatMap((vertices) =>
      Object.keys(vertices[0]?.values ?? {}).map((name) => {
        const sum = vertices.reduce((total, { values }) => total + (values[name] ?? 0), 0);
        return [name, sum / vertices.length] as const;
      }),
    ),
  );
}

/** A share of the way from a point to others, in the dimensions that these have. */
export function towards(
  point: Readonly<Record<string, number>>,
  vertices: readonly Vertex[],
  share: number,
): Record<string, number> {
  const moved = { ...point };
  for (const [name, value] of vertices.flatMap(({ values }) => Object.entries(values))) {
    const from = point[name] ?? 0;
    moved[name] = from + share * (value - from);
  }
  return moved;
}

/** The same as a point of the space: what rounding leaves outside its range is put back. */
export function insideOf(space: Space, values: Readonly<Record<string, number>>): Point {
  return Object.fromEntries(
    space.map((dimension) => {
      const value = values[dimension.name] ?? 0;
      if (dimension.kind !== "range") return [dimension.name, value];
      return [dimension.name, Math.min(dimension.high, Math.max(dimension.low, value))];
    }),
  );
}

/** Why the hull of a space's models cannot be searched; undefined if it can. */
export function refusesHull(space: Space, scale: number | undefined): string | undefined {
  const others = space.filter(({ kind, model }) => kind !== "range" || model === undefined);
  if (others.length > 0) {
    const what = quoteList(others.map(({ name }) => name));
    return `frank-wolfe weighs models, and ${what} ${others.length === 1 ? "is" : "are"} something else: search only a range for the weight of each model, such as {range: [0, 1], start: 1}`;
  }
  for (const dimension of space) {
    if (dimension.kind !== "range") continue;
    const { name, low, high, scale: axis, step } = dimension;
    const told = `frank-wolfe needs ${quote(name)}`;
    if (axis !== "linear" || step !== undefined)
      return `${told} on a linear scale without steps, as it moves by small shares`;
    const alone = aloneValue(dimension, scale);
    if (low > 0 || high < 0)
      return `${told} to reach 0, where the model is left out, and its range is ${low} to ${high}`;
    if (alone < low || alone > high)
      return `${told} to reach ${alone}, where the model is alone, and its range is ${low} to ${high}`;
    if (alone === 0)
      return `${told} to start where its model is alone, not at 0: give it another start, or the search a scale`;
  }
  return undefined;
}
