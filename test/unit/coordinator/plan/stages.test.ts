import { expect, test } from "vitest";
import { MustBeStored } from "../../../../coordinator/plan/stored-stages.js";
import { interpret } from "../../../../shared/expression/interpret.js";
import { randomKey } from "../../../../shared/expression/random.js";
import { type FakeTensors, planOf, tensorNamed } from "../../../support/planning.js";

const tensors: FakeTensors = { "model.layers.0.up.weight": ["F32", [2, 3]], "model.norm.weight": ["F32", [3]] };
const models = { a: tensors, b: tensors, c: tensors, base: tensors };

const diamond = `name: left
merge_method: linear
models: [{ model: a, parameters: { weight: 0.25 } }, { model: b, parameters: { weight: 0.75 } }]
---
name: right
merge_method: task_arithmetic
base_model: base
models: [{ model: b, parameters: { weight: 2 } }]
---
merge_method: slerp
base_model: left
models: [{ model: left }, { model: right }]
parameters: { t: 0.3 }
`;

/** A tensor's values, computed from the values of each model's tensor. */
function run(plan: ReturnType<typeof planOf>, name: string, values: Readonly<Record<string, readonly number[]>>) {
  const { program, parameters, inputs, randomStreams } = tensorNamed(plan, name);
  const built = plan.programs[program];
  if (built === undefined) throw new Error("No program");
  return interpret(built, {
    parameters,
    inputs: inputs.map(({ model }) => Float32Array.from(values[plan.models[model]?.name ?? ""] ?? [])),
    keys: (randomStreams ?? []).map(({ seed, tensor, stream }) => randomKey(seed, tensor, stream)),
  });
}

const values = { a: [1, 2, 3], b: [3, 1, -1], base: [0.5, 0.5, 0.5] };

test("documents that build on each other become one program that reads every model once", () => {
  const plan = planOf(diamond, models);
  expect(plan.method).toBe("slerp");
  expect(plan.models.map(({ name }) => name)).toEqual(["a", "b", "base"]);
  const norm = tensorNamed(plan, "model.norm.weight");
  expect(norm.inputs).toHaveLength(3);

  const left = values.a.map((x, i) => 0.25 * x + 0.75 * (values.b[i] ?? 0));
  const right = values.base.map((x, i) => x + 2 * ((values.b[i] ?? 0) - x));
  const apart = planOf(
    "merge_method: slerp\nbase_model: a\nmodels: [{ model: a }, { model: b }]\nparameters: { t: 0.3 }\n",
    models,
  );
  const wanted = run(apart, "model.norm.weight", { a: left, b: right });
  const found = run(plan, "model.norm.weight", values);
  for (const [i, x] of found.entries()) expect(x).toBeCloseTo(wanted[i] ?? Number.NaN, 6);
});

test("random numbers are those that each document draws by itself", () => {
  const dare = (name: string, base: string, model: string, seed: number) =>
    `${name}merge_method: dare_linear\nbase_model: ${base}\nseed: ${seed}\nmodels: [{ model: ${model}, parameters: { weight: 1, density: 0.5 } }]\n`;
  const whole = planOf(`${dare("name: first\n", "base", "a", 7)}---\n${dare("", "first", "b", 9)}`, models);
  const first = planOf(dare("", "base", "a", 7), models);
  const second = planOf(dare("", "base", "b", 9), models);
  const key = (plan: ReturnType<typeof planOf>) => [randomKey(plan.seed, "model.norm.weight", 0)];
  const runAlone = (plan: ReturnType<typeof planOf>, inputs: Readonly<Record<string, readonly number[]>>) => {
    const tensor = tensorNamed(plan, "model.norm.weight");
    const program = plan.programs[tensor.program];
    if (program === undefined) throw new Error("No program");
    return [
      ...interpret(program, {
        parameters: tensor.parameters,
        inputs: tensor.inputs.map(({ model }) => Float32Array.from(inputs[plan.models[model]?.name ?? ""] ?? [])),
        keys: key(plan),
      }),
    ];
  };
  const between = runAlone(first, values);
  expect([...run(whole, "model.norm.weight", values)]).toEqual(runAlone(second, { ...values, base: between }));
});

test("a document's slices may take layers of an earlier one's output", () => {
  const plan = planOf(
    `name: twice
merge_method: passthrough
slices:
  - sources: [{ model: a, layer_range: [0, 1] }]
  - sources: [{ model: b, layer_range: [0, 1] }]
---
merge_method: passthrough
slices:
  - sources: [{ model: twice, layer_range: [1, 2] }]
  - sources: [{ model: twice, layer_range: [0, 2] }]
`,
    models,
  );
  const origin = (layer: number) => {
    const [input] = tensorNamed(plan, `model.layers.${layer}.up.weight`).inputs;
    return plan.models[input?.model ?? -1]?.name;
  };
  expect([0, 1, 2].map(origin)).toEqual(["b", "a", "b"]);
});

test("a merge over the whole model cannot be part of another", () => {
  const recipe = `name: first
merge_method: ties
base_model: base
parameters: { scope: model, weight: 1, density: 0.5 }
models: [{ model: a }, { model: b }]
---
merge_method: linear
models: [{ model: first, parameters: { weight: 1 } }, { model: c, parameters: { weight: 1 } }]
`;
  expect(() => planOf(recipe, models)).toThrow(MustBeStored);
  expect(() => planOf(recipe, models)).toThrow(/"scope: model" looks at all of its tensors at once/);
});
