import { expect, test } from "vitest";
import { licenseNames } from "../../../../shared/checkpoint/companion-names.js";
import { chooseFiles } from "../../../../shared/remote/wanted-files.js";

test.each<[string, readonly string[], readonly string[], string | undefined]>([
  ["one file of weights", ["config.json", "model.safetensors"], ["config.json", "model.safetensors"], undefined],
  [
    "shards, which the index will name",
    ["model-1-of-1.safetensors", "model.safetensors.index.json", "consolidated.safetensors"],
    ["model.safetensors.index.json"],
    "model.safetensors.index.json",
  ],
  [
    "an index that lies beside a whole file wins",
    ["model.safetensors", "model.safetensors.index.json"],
    ["model.safetensors.index.json"],
    "model.safetensors.index.json",
  ],
  ["an index of another name", ["x.safetensors.index.json"], ["x.safetensors.index.json"], "x.safetensors.index.json"],
  [
    "an adapter",
    ["adapter_config.json", "adapter_model.safetensors", "optimizer.pt"],
    ["adapter_config.json", "adapter_model.safetensors"],
    undefined,
  ],
  [
    "all terms that an output takes along",
    [...licenseNames, "model.safetensors"],
    [...licenseNames, "model.safetensors"],
    undefined,
  ],
  ["weights of unusual names", ["a.safetensors", "b.safetensors"], ["a.safetensors", "b.safetensors"], undefined],
  ["nothing that is wanted", ["pytorch_model.bin", "model.onnx", "run.py"], [], undefined],
])("%s", (_, listed, names, index) => {
  expect(chooseFiles(listed)).toEqual({ names, index });
});
