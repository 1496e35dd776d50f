import { Matrix as Dense, solve as solveLinear } from "ml-matrix";
import { addScaled, type Matrix, rowOf, zeros } from "../../../../shared/linalg/matrix.js";
import type { LayerMoments, LayerTensor, RecipeLayers } from "../../layers/types.js";
import type { Space } from "../../space.js";
import { type Box, boxOf, intoBox, startIn } from "./box.js";
import { minimiseInBox } from "./minimise-in-box.js";

/** A x = b: where Σ_k β_k |X_k (W(x) − W_k)ᵀ|² is smallest. */
export interface NormalEquations {
  readonly a: Matrix;
  readonly b: Float64Array;
}

/**
 * Values of a space's dimensions for which each linear layer W_0 + Σ c_i τ_i gives what each expert's gives on the inputs
 * of its own task: min Σ_k β_k |X_k (Σ c_i τ_i − τ_k)ᵀ|² + γ |x − start|², in closed form, within the ranges. It is RegMean's
 * problem (Jin et al. 2023) for a few numbers in place of a matrix. Layers that share a dimension are solved together.
 * γ is `gamma` times the mean diagonal of A among the dimensions that are solved together. What no layer depends on
 * (biases, norms, embeddings with a dimension of their own) gets the mean of its block, or else of its model.
 */
export function regressLayers(space: Space, layers: RecipeLayers, gamma: number): Float64Array {
  const places = new Map(space.map(({ name }, i) => [name, i]));
  const linear = layers.tensors
    .map((tensor) => ({ ...tensor, moments: tensor.moments.filter(isUsable) }))
    .filter(({ moments }) => moments.length > 0);
  const start = startIn(space);
  const x = start.slice();
  const solved = new Set<number>();
  for (const { dimensions, tensors } of solvedTogether(linear, places)) {
    const equations = normalEquations(
      tensors,
      dimensions.map((at) => space[at]?.name ?? ""),
    );
    if (equations.a.data.every((value) => value === 0)) continue;
    const found = solve(equations, pick(start, dimensions), boxAt(boxOf(space), dimensions), gamma);
    for (const [i, at] of dimensions.entries()) x[at] = found[i] ?? Number.NaN;
    for (const at of dimensions) solved.add(at);
  }
  for (const [at, { name }] of space.entries()) {
    const mean = solved.has(at) ? undefined : meanAround(name, layers, (other) => placeOf(other, places, solved, x));
    if (mean !== undefined) x[at] = mean;
  }
  return intoBox(boxOf(space), x);
}

/**
 * Sums over layers and tasks. With c_i = f_i x_d(i), or f_i alone, and P_k the products ⟨X_k τ_iᵀ, X_k τ_jᵀ⟩: A collects
 * β_k f_i f_j P_k,ij, and b collects β_k f_i (P_k,ik − Σ_j f_j P_k,ij over the j that are constant). β_k is 1 / P_k,kk, so that
 * experts that moved far do not drown the others.
 */
export function normalEquations(tensors: readonly LayerTensor[], dimensions: readonly string[]): NormalEquations {
  const places = new Map(dimensions.map((name, i) => [name, i]));
  const a = zeros(dimensions.length, dimensions.length);
  const b = new Float64Array(dimensions.length);
  for (const { coefficients, moments } of tensors) {
    for (const { expert, products } of moments) {
      const moved = products[expert]?.[expert] ?? 0;
      if (!(moved > 0)) continue;
      for (const [i, one] of coefficients.entries()) {
        const row = places.get(one.dimension ?? "");
        if (row === undefined) continue;
        let right = products[i]?.[expert] ?? 0;
        for (const [j, other] of coefficients.entries()) {
          const product = products[i]?.[j] ?? 0;
          const column = places.get(other.dimension ?? "");
          const at = row * dimensions.length + (column ?? 0);
          if (column === undefined) right -= other.factor * product;
          else a.data[at] = (a.data[at] ?? 0) + (one.factor * other.factor * product) / moved;
        }
        b[row] = (b[row] ?? 0) + (one.factor * right) / moved;
      }
    }
  }
  return { a, b };
}

/** min ½ xᵀ(A + γI)x − (b + γ start)ᵀx in the box. */
function solve({ a, b }: NormalEquations, start: Float64Array, box: Box, gamma: number): Float64Array {
  const count = b.length;
  const diagonal = b.map((_, i) => a.data[i * count + i] ?? 0);
  const pull = (gamma * diagonal.reduce((sum, value) => sum + value, 0)) / count;
  const damped = { ...a, data: a.data.slice() };
  for (let i = 0; i < count; i += 1) damped.data[i * count + i] = (diagonal[i] ?? 0) + pull;
  const right = b.slice();
  addScaled(right, pull, start);
  const anywhere = withoutWalls(damped, right);
  if (intoBox(box, anywhere).every((value, i) => value === anywhere[i])) return anywhere;
  const times = (x: Float64Array): Float64Array =>
    x.map((_, i) => x.reduce((sum, value, j) => sum + (damped.data[i * count + j] ?? 0) * value, 0));
  return minimiseInBox(
    {
      value: (x) => times(x).reduce((sum, value, i) => sum + (x[i] ?? 0) * (value / 2 - (right[i] ?? 0)), 0),
      gradient: (x) => times(x).map((value, i) => value - (right[i] ?? 0)),
      curvature: () => damped,
    },
    start,
    box,
  );
}

function withoutWalls(damped: Matrix, right: Float64Array): Float64Array {
  const rows = Array.from(right, (_, i) => Array.from(rowOf(damped, i)));
  return Float64Array.from(solveLinear(new Dense(rows), Dense.columnVector(Array.from(right)), true).to1DArray());
}

interface Together {
  /** Into the space, ascending. */
  readonly dimensions: readonly number[];
  readonly tensors: readonly LayerTensor[];
}

/** Tensors by the dimensions that they share, directly or through others. */
function solvedTogether(tensors: readonly LayerTensor[], places: ReadonlyMap<string, number>): readonly Together[] {
  let groups: readonly { readonly dimensions: ReadonlySet<number>; readonly tensors: readonly LayerTensor[] }[] = [];
  for (const tensor of tensors) {
    const own = new Set(tensor.coefficients.flatMap(({ dimension }) => places.get(dimension ?? "") ?? []));
    if (own.size === 0) continue;
    const joined = groups.filter(({ dimensions }) => [...own].some((at) => dimensions.has(at)));
    const together = {
      dimensions: new Set([...joined.flatMap(({ dimensions }) => [...dimensions]), ...own]),
      tensors: [...joined.flatMap((group) => group.tensors), tensor],
    };
    groups = [...groups.filter((group) => !joined.includes(group)), together];
  }
  return groups.map((group) => ({ ...group, dimensions: [...group.dimensions].toSorted((one, two) => one - two) }));
}

/** Of a coefficient that was solved for. */
function placeOf(
  name: string | undefined,
  places: ReadonlyMap<string, number>,
  solved: ReadonlySet<number>,
  x: Float64Array,
): number | undefined {
  const at = places.get(name ?? "");
  return at === undefined || !solved.has(at) ? undefined : x[at];
}

/**
 * The mean of what multiplies the same model in the linear layers of the same blocks, in units of the dimension; of all
 * blocks where those have none.
 */
function meanAround(
  dimension: string,
  { tensors }: RecipeLayers,
  solvedValue: (dimension: string | undefined) => number | undefined,
): number | undefined {
  const uses = tensors.flatMap(({ name, coefficients }) =>
    coefficients.flatMap((one, model) =>
      one.dimension === dimension ? [{ block: blockOf(name), model, ...one }] : [],
    ),
  );
  const around = (isNear: (block: string) => boolean): readonly number[] =>
    uses.slice(0, 1).flatMap(({ model, factor }) =>
      tensors.flatMap(({ name, coefficients, moments }) => {
        const found = coefficients[model];
        const value = solvedValue(found?.dimension);
        if (found === undefined || value === undefined || moments.length === 0 || !isNear(blockOf(name))) return [];
        return [(found.factor * value) / factor];
      }),
    );
  const blocks = new Set(uses.map(({ block }) => block));
  const near = around((block) => blocks.has(block));
  const values = near.length > 0 ? near : around(() => true);
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** What a tensor's name begins with, up to its layer's number: `vit.encoder.layer.3`; nothing for what is in no layer. */
function blockOf(tensor: string): string {
  return /^(?:.*?\.)?\d+(?=\.)/.exec(tensor)?.[0] ?? "";
}

/** A model that answered with NaN says nothing. */
function isUsable({ products }: LayerMoments): boolean {
  return products.every((row) => row.every((value) => Number.isFinite(value)));
}

function pick(values: Float64Array, places: readonly number[]): Float64Array {
  return Float64Array.from(places, (at) => values[at] ?? Number.NaN);
}

function boxAt({ low, high }: Box, places: readonly number[]): Box {
  return { low: pick(low, places), high: pick(high, places) };
}
