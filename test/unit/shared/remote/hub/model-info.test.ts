import { expect, test } from "vitest";
import { parseModelInfo } from "../../../../../shared/remote/hub/model-info.js";

const url = "hf://o/m";
const sha = "a".repeat(40);

function infoOf(fields: object) {
  return parseModelInfo(Buffer.from(JSON.stringify({ sha, siblings: [], ...fields })), url);
}

test.each<[object, string | undefined]>([
  [{ cardData: { license: "apache-2.0" } }, "apache-2.0"],
  [{ cardData: { license: ["mit", "other"] } }, "mit"],
  [{ cardData: { base_model: "o/base" }, tags: ["license:llama3.1"] }, "llama3.1"],
  [{ cardData: { language: ["en"] } }, undefined],
  [{ cardData: {}, tags: null }, undefined],
  [{ cardData: null }, undefined],
  [{ cardData: { license: 7 } }, undefined],
  [{ cardData: { license: "mit\nbase_model: other" }, tags: ["license:mit"] }, "mit"],
  [{ cardData: { license: "x".repeat(10_000) } }, undefined],
])("%j has the licence %j", (fields, license) => {
  expect(infoOf(fields)).toMatchObject({ commit: sha, license });
});

test("files that have no size or no digest are left out", () => {
  const [blobId, sha256] = ["b".repeat(40), "c".repeat(64)];
  const siblings = [
    { rfilename: "config.json", size: 2, blobId },
    { rfilename: "model.safetensors", size: 134, blobId, lfs: { sha256, size: 9_000_000_000, pointerSize: 134 } },
    { rfilename: "unknown.json" },
  ];
  expect(infoOf({ siblings }).files).toEqual([
    { path: "config.json", bytes: 2, version: blobId },
    { path: "model.safetensors", bytes: 9_000_000_000, version: sha256 },
  ]);
});
