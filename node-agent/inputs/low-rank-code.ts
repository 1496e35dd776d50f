import { encodeModule, FunctionBody, type Local } from "../compute/wasm/encoder.js";

/** What {@link encodeLowRank}'s function takes, in this order. Addresses and strides are in bytes. */
const names = [
  "into",
  "intoStride",
  "rows",
  "columns",
  "coefficients",
  "coefficientStride",
  "factor",
  "factorStride",
  "rank",
  "scaleBits",
] as const;

export type LowRankCall = Readonly<Record<(typeof names)[number], number>>;

export function lowRankArguments(call: LowRankCall): number[] {
  return names.map((name) => call[name]);
}

/** Columns that are worked on at once: their sums stay in registers, their part of the factor in the L1 cache. */
export const panelColumns = 16;
const vectors = panelColumns / 4;

/**
 * A function that adds scale · Σ_r coefficients[i, r] · factor[r, j] to every element of a span of rows. All f32 and
 * rounded after every operation, r ascending, so no element depends on where a span begins or ends. Needs rows,
 * columns and rank of at least 1. It reads, and writes back unchanged, up to 15 elements behind the span's end.
 */
export function encodeLowRank(maximumPages: number): Uint8Array<ArrayBuffer> {
  const body = new FunctionBody(names.length);
  const local = Object.fromEntries(names.map((name, place) => [name, place])) as Record<(typeof names)[number], Local>;
  const scale = body.local("v128");
  body.get(local.scaleBits).simd("i32x4.splat").set(scale);
  body.block(() => {
    body.loop(() => {
      body.get(local.columns).i32(panelColumns).op("i32.lt_u").branchIf(1);
      pushPanel(body, local, scale, undefined);
      advance(body, local.into, 4 * panelColumns);
      advance(body, local.factor, 4 * panelColumns);
      advance(body, local.columns, -panelColumns);
      body.branch(0);
    });
  });
  body.get(local.columns).op("i32.eqz").op("i32.eqz");
  body.if(() => {
    const masks = Array.from({ length: vectors }, (_, vector) => {
      const mask = body.local("v128");
      const first = 4 * vector;
      body.v128([first, first + 1, first + 2, first + 3]);
      body.get(local.columns).simd("i32x4.splat").simd("i32x4.lt_s").set(mask);
      return mask;
    });
    pushPanel(body, local, scale, masks);
  });
  return encodeModule(body, names.length, maximumPages);
}

/** Goes over all rows of one panel. `masks` says which of its columns exist; undefined where all do. */
function pushPanel(
  body: FunctionBody,
  local: Record<(typeof names)[number], Local>,
  scale: Local,
  masks: readonly Local[] | undefined,
): void {
  const [into, coefficients, rows] = [body.local("i32"), body.local("i32"), body.local("i32")];
  const [coefficient, factor, rank] = [body.local("i32"), body.local("i32"), body.local("i32")];
  const spread = body.local("v128");
  const sums = Array.from({ length: vectors }, () => body.local("v128"));
  body.get(local.into).set(into).get(local.coefficients).set(coefficients).get(local.rows).set(rows);
  body.loop(() => {
    for (const sum of sums) body.splat(0).set(sum);
    body.get(coefficients).set(coefficient).get(local.factor).set(factor).get(local.rank).set(rank);
    body.loop(() => {
      body.get(coefficient).load("v128.load32_splat", 0).set(spread);
      sums.forEach((sum, vector) => {
        body
          .get(sum)
          .get(spread)
          .get(factor)
          .load("v128.load", 16 * vector);
        body.simd("f32x4.mul").simd("f32x4.add").set(sum);
      });
      advance(body, coefficient, 4);
      body.get(factor).get(local.factorStride).op("i32.add").set(factor);
      body.get(rank).i32(1).op("i32.sub").tee(rank).branchIf(0);
    });
    sums.forEach((sum, vector) => {
      const at = 16 * vector;
      body.get(into);
      body.get(into).load("v128.load", at).get(sum).get(scale).simd("f32x4.mul").simd("f32x4.add");
      const mask = masks?.[vector];
      if (mask !== undefined) body.get(into).load("v128.load", at).get(mask).simd("v128.bitselect");
      body.store("v128.store", at);
    });
    body.get(into).get(local.intoStride).op("i32.add").set(into);
    body.get(coefficients).get(local.coefficientStride).op("i32.add").set(coefficients);
    body.get(rows).i32(1).op("i32.sub").tee(rows).branchIf(0);
  });
}

function advance(body: FunctionBody, pointer: Local, by: number): void {
  body.get(pointer).i32(by).op("i32.add").set(pointer);
}
