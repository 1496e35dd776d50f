import { expect, test } from "vitest";
import { poolingFromModules } from "../../../../../coordinator/graphs/encoder/sentence-transformers.js";

function modules(...types: readonly string[]): string {
  return JSON.stringify(types.map((type, idx) => ({ idx, name: String(idx), path: "", type })));
}

const [transformer, pooling, normalize] = ["Transformer", "Pooling", "Normalize"].map(
  (name) => `sentence_transformers.models.${name}`,
) as [string, string, string];

/** As versions before 5 write it. */
function flags(...chosen: readonly string[]): string {
  const all = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"];
  const entries = all.map((name) => [`pooling_mode_${name}`, chosen.includes(name)]);
  return JSON.stringify({ word_embedding_dimension: 384, ...Object.fromEntries(entries), include_prompt: true });
}

test.each([
  [
    "all-MiniLM-L6-v2",
    modules(transformer, pooling, normalize),
    flags("mean_tokens"),
    { mode: "mean", normalize: true },
  ],
  ["without Normalize", modules(transformer, pooling), flags("cls_token"), { mode: "cls", normalize: false }],
  ["the last token", modules(transformer, pooling), flags("lasttoken"), { mode: "last", normalize: false }],
  [
    "one word, and modules elsewhere",
    modules("sentence_transformers.base.modules.transformer.Transformer", "sentence_transformers.x.Pooling"),
    '{"embedding_dimension": 384, "pooling_mode": "lasttoken"}',
    { mode: "last", normalize: false },
  ],
  ["no pooling", modules(transformer), undefined, undefined],
])("pooling of sentence-transformers: %s", (_, modulesJson, poolingJson, expected) => {
  expect(poolingFromModules(modulesJson, poolingJson)).toEqual(expected);
});

test.each([
  [modules(transformer, pooling), flags("max_tokens"), '"pooling_mode_max_tokens" is true, which is not supported'],
  [
    modules(transformer, pooling),
    flags("mean_tokens", "cls_token"),
    '"pooling_mode_cls_token" is true, one of 2 ways of pooling at once, which is not supported',
  ],
  [modules(transformer, pooling), flags(), '"pooling_mode" is missing, which is not supported: only the mean'],
  [
    modules(transformer, pooling),
    '{"pooling_mode": "toString"}',
    '"pooling_mode" is "toString", which is not supported',
  ],
  [
    modules(transformer, pooling, "sentence_transformers.models.Dense"),
    flags("mean_tokens"),
    '"a/modules.json[2]": "type" is "sentence_transformers.models.Dense", which is not supported, only "Transformer"',
  ],
  [modules(transformer, pooling), undefined, '"a/1_Pooling/config.json" is missing'],
  [modules(transformer, pooling), "{", 'Cannot read "a/1_Pooling/config.json": it is not JSON'],
  ["{}", undefined, 'Cannot read "a/modules.json": it is not a list'],
  ["[3]", undefined, '"a/modules.json[0]": it is not an object'],
])("%s with %s is refused: %s", (modulesJson, poolingJson, problem) => {
  expect(() => poolingFromModules(modulesJson, poolingJson, "a/")).toThrow(problem);
});
