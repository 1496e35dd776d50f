import { expect, test } from "vitest";
import {
  nameBehindLayers,
  nameInLayer,
  recogniseArchitecture,
} from "../../../../coordinator/architecture/architecture.js";

test("a model of an unknown type is inferred from its tensors, and the author is told so", () => {
  const tensors = shaped({
    "audio.table": [8, 64],
    "net.embedder.weight": [1000, 64],
    "net.pos_embedder.weight": [1000, 64],
    "net.blocks.0.attn.qkv.weight": [192, 64],
    "net.blocks.0.experts.0.weight": [64, 64],
    "net.blocks.1.attn.qkv.weight": [192, 64],
    "net.blocks.1.experts.1.weight": [64, 64],
    "net.mixer": [8, 8],
    "net.final_norm.weight": [64],
    "net.to_logits.weight": [1000, 64],
    "classifier.0.weight": [64, 64],
    "classifier.2.weight": [4, 64],
  });
  const architecture = recogniseArchitecture({ model_type: "foo", vocab_size: 1000 }, tensors);
  expect(architecture.modelType).toBe("foo");
  expect(architecture.note).toBe(
    'Model type "foo" is not known: found 2 layers under "net.blocks" by the names of the tensors',
  );
  expect(architecture.modules).toMatchObject([
    { name: "default", layers: 2, stack: "net.blocks.", layerCount: undefined },
  ]);
  const places = [...tensors.keys()].map((name) => {
    const { part, layer, tokens } = architecture.place(name);
    return [part, layer, tokens].filter((word) => word !== undefined).join(" ");
  });
  expect(places).toEqual([
    "before",
    "before embedding",
    "before",
    "layer 0",
    "layer 0",
    "layer 1",
    "layer 1",
    "after",
    "after",
    "after head",
    "after",
    "after",
  ]);
});

test("without a vocabulary's size, matrices are of tokens that have as many rows as the embedding", () => {
  const tensors = shaped({ "embed_tokens.weight": [300, 8], "to_head.weight": [300, 8], "output.weight": [10, 8] });
  const { place, note } = recogniseArchitecture(undefined, tensors);
  expect([...tensors.keys()].map((name) => place(name).tokens)).toEqual(["embedding", "head", undefined]);
  expect(note).toBe('Model type "unknown" is not known: found no layers by the names of the tensors');
});

test("several stacks of an unknown model are modules with mergekit's names", () => {
  const names = ["enc.layers.0.a.w", "enc.layers.1.a.w", "enc.norm.w", "dec.layers.0.a.w", "dec.layers.1.a.w"];
  const { modules, place } = recogniseArchitecture({ model_type: "foo" }, shaped(toEmpty(names)));
  expect(modules.map(({ name, layers }) => [name, layers])).toEqual([
    ["enc.layers", 2],
    ["dec.layers", 2],
    ["default", 0],
  ]);
  expect(names.map((name) => place(name).module)).toEqual([0, 0, 2, 1, 1]);
});

test("config.json that says another number of layers is told of", () => {
  const names = Array.from({ length: 28 }, (_, layer) => `model.layers.${layer}.mlp.up_proj.weight`);
  for (const model_type of ["llama", "foo"]) {
    const config = { model_type, num_hidden_layers: 32 };
    expect(recogniseArchitecture(config, shaped(toEmpty(names))).note).toContain(
      'The tensors are of 28 layers, but "num_hidden_layers" in config.json is 32',
    );
  }
});

test.each([
  ["llama", "model.layers.3.mlp.experts.17.up_proj.weight", "model.layers.17.mlp.experts.17.up_proj.weight"],
  ["llama", "model.norm.weight", "model.norm.weight"],
  ["bert", "bert.encoder.layer.3.output.dense.weight", "bert.encoder.layer.17.output.dense.weight"],
  ["foo", "0.net.layer.3.a.weight", "0.net.layer.17.a.weight"],
  ["foo", "3.a.weight", "17.a.weight"],
])("%s: %s in layer 17 is %s", (model_type, name, expected) => {
  const names = [0, 1, 2, 3].map((layer) => name.replace(/(^|layers?\.)3\./, `$1${layer}.`));
  const architecture = recogniseArchitecture({ model_type }, shaped(toEmpty([...names, name])));
  expect(nameInLayer(architecture, name, 17)).toBe(expected);
  expect(nameInLayer(architecture, expected, 3)).toBe(name);
});

test("what predicts further tokens is numbered on behind the output's last layer", () => {
  const config = { model_type: "deepseek_v3", num_hidden_layers: 2, num_nextn_predict_layers: 1 };
  const names = ["model.layers.0.a.weight", "model.layers.1.a.weight", "model.layers.2.a.weight"];
  const architecture = recogniseArchitecture(config, shaped(toEmpty(names)));
  expect(architecture.modules).toMatchObject([{ layers: 2, predictors: 1 }]);
  expect(names.map((name) => nameBehindLayers(architecture, name, 40))).toEqual([
    "model.layers.0.a.weight",
    "model.layers.1.a.weight",
    "model.layers.40.a.weight",
  ]);
  expect(nameInLayer(architecture, "model.layers.2.a.weight", 7)).toBe("model.layers.2.a.weight");
});

test("a layer that the model does not have is a layer all the same, since outputs may be deeper", () => {
  const { place } = recogniseArchitecture({ model_type: "llama" }, shaped(toEmpty(["model.layers.0.a.weight"])));
  expect(place("model.layers.40.a.weight")).toEqual({ module: 0, part: "layer", layer: 40, optional: false });
});

test.each(["", ".", "0", "0.", ".0.", "layers.00.x", "layers.99999999999999999999.x", "1.2.3.4.5.6.7.8", "toString"])(
  "the name %j gets a place, in whatever model",
  (name) => {
    for (const config of [undefined, null, 3, [], { model_type: "llama" }, { model_type: 7 }, { model_type: "t5" }]) {
      const { place, modules } = recogniseArchitecture(config, shaped(toEmpty([name, "model.layers.0.a.w"])));
      expect(modules[place(name).module]).toBeDefined();
    }
  },
);

test("140,000 tensors of a mixture of experts are recognised and placed", () => {
  const names = Array.from({ length: 60 }, (_, layer) =>
    Array.from({ length: 780 }, (_, expert) =>
      ["gate", "up", "down"].map((part) => `model.layers.${layer}.mlp.experts.${expert}.${part}_proj.weight`),
    ),
  ).flat(2);
  expect(names).toHaveLength(140_400);
  const tensors = new Map(names.map((name) => [name, { shape: [] }]));
  const known = recogniseArchitecture({ model_type: "deepseek_v3" }, tensors);
  const inferred = recogniseArchitecture({ model_type: "foo" }, tensors);
  for (const architecture of [known, inferred]) {
    expect(architecture.modules).toMatchObject([{ layers: 60, stack: "model.layers." }]);
    expect(new Set(names.map((name) => architecture.place(name).layer)).size).toBe(60);
  }
});

function shaped(
  shapes: Readonly<Record<string, readonly number[]>>,
): Map<string, { readonly shape: readonly number[] }> {
  return new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape }]));
}

function toEmpty(names: readonly string[]): Readonly<Record<string, readonly number[]>> {
  return Object.fromEntries(names.map((name) => [name, []]));
}
