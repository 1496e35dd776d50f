import { expect, test } from "vitest";
import { layerPositions } from "../../../../coordinator/plan/layers.js";

test("layerPositions() numbers the layers of a stack by the names of their tensors", () => {
  const at = layerPositions(["embed.weight", "model.layers.0.up.weight", "model.layers.7.up.weight", "norm.weight"]);
  expect(at("model.layers.0.up.weight")).toEqual({ index: 0, count: 8 });
  expect(at("model.layers.7.up.weight")).toEqual({ index: 7, count: 8 });
  expect(at("embed.weight")).toBeUndefined();
  expect(at("norm.weight")).toBeUndefined();
});

test("layerPositions() keeps stacks apart", () => {
  const at = layerPositions(["encoder.block.3.wi", "decoder.block.11.wi", "decoder.block.2.wi"]);
  expect(at("encoder.block.3.wi")).toEqual({ index: 3, count: 4 });
  expect(at("decoder.block.2.wi")).toEqual({ index: 2, count: 12 });
});

test("layerPositions() takes the first number of a name for the layer, not an expert's", () => {
  const at = layerPositions(["model.layers.1.mlp.experts.63.up.weight"]);
  expect(at("model.layers.1.mlp.experts.63.up.weight")).toEqual({ index: 1, count: 2 });
});
