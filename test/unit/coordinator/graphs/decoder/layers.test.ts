import { expect, test } from "vitest";
import { buildGraphs } from "../../../../../coordinator/graphs/families.js";
import { decoderCases } from "../../../../support/decoder-goldens.js";

function build(type: string) {
  const golden = decoderCases("decoders").find(({ golden: { config } }) => config.model_type === type)?.golden;
  if (golden === undefined) throw new Error(`There is no golden of ${type}`);
  const { config } = golden;
  const tensors = new Map(Object.entries(golden.weights).map(([name, shape]) => [name, { shape, dtype: "F32" }]));
  return buildGraphs({ config, tensors, configFile: "config.json", output: "layers" });
}

test("a body that ends in what its layers are given needs nothing of the last layer, the last norm or the head", () => {
  const { graphs, kind } = build("llama");
  expect([kind, Object.keys(graphs)]).toEqual(["encoder", ["body"]]);
  const names = graphs.body?.weights.map(({ name }) => name) ?? [];
  expect(names.filter((name) => name.startsWith("model.layers.0."))).not.toEqual([]);
  expect(names.filter((name) => /layers\.1\.|model\.norm|lm_head/.test(name))).toEqual([]);
});

test("a model that does not show its layers is named", () => {
  expect(() => build("gpt2")).toThrow('a model of type "gpt2" does not show what its layers are given');
});
