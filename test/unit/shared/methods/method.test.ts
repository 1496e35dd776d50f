import { expect, test } from "vitest";
import { schedule } from "../../../../shared/expression/passes.js";
import { methods } from "../../../../shared/methods/index.js";
import { buildProgram, defineMethod } from "../../../../shared/methods/method.js";
import { integer, number, type ParameterSpecs } from "../../../../shared/methods/parameter.js";
import { runInterpreted } from "../../../support/pieces.js";

const repeated = defineMethod({
  name: "repeated",
  title: "A model, several times",
  reference: { title: "none" },
  summary: "for this test",
  base: "optional",
  perModel: { weight: number({ help: "a factor" }) },
  merge: { times: integer({ default: 2, min: 0, max: 5, help: "how often" }) },
  output({ base, models, times }) {
    let [total] = models.map(({ tensor }) => tensor.times(0));
    if (total === undefined) throw new TypeError("needs a model");
    for (const { tensor, weight } of models) {
      for (let i = 0; i < times; i += 1) total = total.plus(tensor.times(weight));
    }
    return base === undefined ? total : total.minus(base);
  },
});

function output(base: number | undefined, times: number): number[] {
  const perModel = [{ weight: 10 }, { weight: 100 }];
  const { program, slots } = buildProgram(repeated, ["a", "b"], base, { perModel, merge: { times } });
  const parameters = slots.map(({ model = 0 }) => perModel[model]?.weight ?? Number.NaN);
  const bytes = runInterpreted({ program, inputs: [Float32Array.of(1), Float32Array.of(2)], parameters });
  return [...new Float32Array(bytes.buffer, bytes.byteOffset, 1)];
}

test("an optional base is no model when there is one, and without one all are models", () => {
  expect(output(undefined, 1)).toEqual([210]);
  expect(output(0, 1)).toEqual([199]);
  expect(output(1, 1)).toEqual([8]);
});

test("an integer shapes the expression and takes no slot", () => {
  expect(output(undefined, 3)).toEqual([630]);
  const built = [1, 3].map((times) =>
    buildProgram(repeated, ["a"], undefined, { perModel: [{ weight: 1 }], merge: { times } }),
  );
  expect(built.map(({ slots }) => slots)).toEqual([
    [{ parameter: "weight", model: 0 }],
    [{ parameter: "weight", model: 0 }],
  ]);
  expect(built[1]?.program.nodes.length).toBeGreaterThan(built[0]?.program.nodes.length ?? Infinity);
});

test("every method says what it does and where it comes from, and its defaults are within its bounds", () => {
  for (const [name, { title, summary, reference, perModel, merge }] of methods) {
    expect(
      [title, summary, reference.title].every((text) => text.length > 3),
      name,
    ).toBe(true);
    for (const [parameter, spec] of Object.entries({ ...perModel, ...merge })) {
      expect(spec.help, `${name}: ${parameter}`).not.toBe("");
      if (spec.kind !== "number" && spec.kind !== "integer") continue;
      if (spec.default === undefined) continue;
      expect(spec.default, `${name}: ${parameter}`).toBeGreaterThanOrEqual(spec.min ?? -Infinity);
      expect(spec.default, `${name}: ${parameter}`).toBeLessThanOrEqual(spec.max ?? Infinity);
    }
  }
});

/** mergekit 0.1.5's names; a default of undefined must be given. */
const mergekit: Readonly<Record<string, Readonly<Record<string, number | boolean | undefined>>>> = {
  nuslerp: { weight: undefined, nuslerp_flatten: true, nuslerp_row_wise: false },
  multislerp: { weight: undefined, normalize_weights: true, eps: 1e-8 },
  karcher: { max_iter: 10, tol: 1e-5 },
  model_stock: { filter_wise: false },
  breadcrumbs: { weight: undefined, density: 1, gamma: 0.01, lambda: 1, normalize: false },
  breadcrumbs_ties: { weight: undefined, density: 1, gamma: 0.01, lambda: 1, normalize: false },
  nearswap: { t: undefined },
  sce: { select_topk: 1 },
  ram: { epsilon: 1e-5 },
  ramplus_tl: { r: 0.1, alpha: 0.2, epsilon: 1e-5 },
};

test.each(Object.keys(mergekit))("%s has mergekit's parameters and defaults", (name) => {
  const method = methods.get(name);
  const specs = { ...method?.perModel, ...method?.merge };
  const ours = Object.fromEntries(Object.entries(specs).map(([parameter, spec]) => [parameter, spec.default]));
  expect(ours).toMatchObject(mergekit[name] ?? {});
  expect(Object.keys(specs).filter((parameter) => parameter !== "rescale")).toEqual(
    expect.arrayContaining(Object.keys(mergekit[name] ?? {})),
  );
});

test("ten models make no program of more than a few thousand nodes", () => {
  const names = Array.from({ length: 10 }, (_, i) => `model-${i}`);
  const values = (specs: ParameterSpecs) =>
    Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, spec.default ?? 1]));
  for (const method of methods.values()) {
    if (method.models.max < names.length) continue;
    const given = { perModel: names.map(() => values(method.perModel)), merge: values(method.merge) };
    const { program } = buildProgram(method, names, method.base === "required" ? 0 : undefined, given);
    expect(program.nodes.length, method.name).toBeLessThan(7_000);
  }
});

test.each([
  ["ties", { density: 1 }, {}, 0],
  ["ties", { density: 0.9 }, {}, 2],
  ["dare_ties", { density: 1 }, {}, 0],
  ["dare_linear", { density: 0.9 }, {}, 1],
  ["della", { density: 1 }, {}, 0],
  ["breadcrumbs", { density: 1 }, {}, 0],
  ["sce", {}, { select_topk: 1 }, 1],
  ["sce", {}, { select_topk: 0.9 }, 4],
] as const)("%s with %o and %o takes %i passes before it writes", (name, perModel, merge, passes) => {
  const method = methods.get(name);
  if (method === undefined) throw new Error(`There is no method "${name}"`);
  const values = (specs: ParameterSpecs) =>
    Object.fromEntries(Object.entries(specs).map(([parameter, spec]) => [parameter, spec.default ?? 1]));
  const models = [{}, { ...values(method.perModel), ...perModel }, { ...values(method.perModel), ...perModel }];
  const given = { perModel: models, merge: { ...values(method.merge), ...merge } };
  const { program } = buildProgram(method, ["base", "a", "b"], 0, given);
  expect(schedule(program).statistics).toHaveLength(passes);
});
