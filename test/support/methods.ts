import { expect } from "vitest";
import { widen } from "../../shared/checkpoint/convert.js";
import { methods } from "../../shared/methods/index.js";
import { buildProgram, type MergeMethod } from "../../shared/methods/method.js";
import type { ParameterSpecs, ParameterValue } from "../../shared/methods/parameter.js";
import { runCompiled, type TensorCase } from "./pieces.js";

export type Values = Record<string, ParameterValue | undefined>;

/**
 * A method over concrete tensors. The base is the first of them, if the method needs one; if one is optional, `hasBase`
 * says whether it is.
 */
export function caseOf(
  name: string,
  inputs: readonly Float32Array[],
  given: {
    perModel?: readonly Values[];
    merge?: Values;
    hasBase?: boolean;
    seed?: number;
    shape?: readonly number[];
  } = {},
): TensorCase {
  const method = methods.get(name) as MergeMethod;
  const names = inputs.map((_, i) => `model-${i}`);
  const perModel = names.map((_, i) => ({ ...defaultsOf(method.perModel), ...given.perModel?.[i] }));
  const merge = { ...defaultsOf(method.merge), ...given.merge };
  const hasBase = method.base === "required" || (method.base === "optional" && given.hasBase === true);
  const base = hasBase ? 0 : undefined;
  const { program, slots } = buildProgram(method, names, base, { perModel, merge });
  const parameters = slots.map(({ parameter, model }) =>
    Number((model === undefined ? merge : perModel[model])?.[parameter]),
  );
  const { seed = 0, shape } = given;
  return { program, inputs, parameters, seed, ...(shape === undefined ? {} : { shape }) };
}

/** Every parameter's default; required ones get a number that is no identity. */
function defaultsOf(specs: ParameterSpecs): Values {
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => {
      if (spec.kind === "number" && spec.default === undefined) return [name, spec.optional ? undefined : 0.6];
      return [name, spec.default];
    }),
  );
}

/** The output of the compiled kernels as numbers. */
export function run(given: TensorCase): Float32Array {
  return widen("F32", runCompiled(given).bytes);
}

/** Element by element within `relative` of the wanted number, or half an f32 step at 1 where numbers nearly cancel. */
export function expectClose(
  actual: ArrayLike<number>,
  wanted: ArrayLike<number>,
  relative = 1e-6,
  absolute = 2 ** -24,
): void {
  expect(actual.length).toBe(wanted.length);
  for (let i = 0; i < wanted.length; i += 1) {
    const [x = Number.NaN, y = Number.NaN] = [actual[i], wanted[i]];
    const allowed = relative * Math.abs(y) + absolute;
    if (!(Math.abs(x - y) <= allowed)) expect.fail(`[${i}]: ${x} and ${y}, ${allowed} apart at most`);
  }
}
