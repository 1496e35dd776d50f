import { expect, test } from "vitest";
import { type CheckpointIndex, formatIndex, parseIndex } from "../../../../shared/checkpoint/index-json.js";
import { AmalgamError } from "../../../../shared/errors.js";

function parse(text: string): CheckpointIndex {
  return parseIndex(new TextEncoder().encode(text), "model.safetensors.index.json");
}

test("parseIndex() reads the weight map, the total size and other metadata", () => {
  const index = parse(`\n{"metadata": {"total_size": 24, "mergekit_version": "0.1.5", "nested": {"a": [1]}},
    "weight_map": {"__proto__": "model-1-of-2.safetensors", "b": "model-00002-of-000163.safetensors"}, "extra": null}\n`);
  expect([...index.weightMap]).toEqual([
    ["__proto__", "model-1-of-2.safetensors"],
    ["b", "model-00002-of-000163.safetensors"],
  ]);
  expect(index.totalSize).toBe(24);
  expect(index.metadata["mergekit_version"]).toBe("0.1.5");
});

test("parseIndex() does without a total size, or with one that is no whole number", () => {
  for (const metadata of ["{}", "null", "[]", '{"total_size": 1.5}', '{"total_size": "24"}', '{"total_size": 1e300}']) {
    expect(parse(`{"metadata": ${metadata}, "weight_map": {}}`).totalSize, metadata).toBeUndefined();
  }
  expect(parse('{"weight_map": {}}').totalSize).toBeUndefined();
  expect(parse('{"metadata": {"total_size": 24.0}, "weight_map": {}}').totalSize).toBe(24);
});

test("parseIndex() refuses a broken index", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /has the end where it should have "{"/],
    ["\ufeff{}", /byte order mark/],
    ["{}", /no "weight_map"/],
    ["[]", /where it should have "{"/],
    ['{"weight_map": []}', /where it should have "{"/],
    ['{"weight_map": {"a": 1}}', /has "1" where/],
    ['{"weight_map": {"a": null}}', /has "n" where/],
    ['{"weight_map": {"a": "x.safetensors", "\\u0061": "y.safetensors"}}', /lists tensor "a" twice/],
    ['{"weight_map": {}, "weight_map": {}}', /has the key "weight_map" twice/],
    ['{"metadata": {"total_size": 1, "total_size": 2}, "weight_map": {}}', /has the key "total_size" twice/],
    ['{"weight_map": {}} x', /has "x" where it should have the end/],
    ['{"weight_map": {"a": "x.safetensors"', /has the end where/],
    [`{"x": ${"[".repeat(200_000)}`, /nested more than 64 deep/],
    [`{"weight_map": {"${"n".repeat(5000)}": "x.safetensors"}}`, /a string of more than 4,096 bytes/],
    [
      `{"weight_map": {${Array.from({ length: 10_001 }, (_, i) => `"${i}":"${i}.safetensors"`)}}}`,
      /more than 10,000 files/,
    ],
  ];
  for (const [text, message] of cases) {
    expect(() => parse(text), text.slice(0, 60)).toThrow(message);
    expect(() => parse(text)).toThrow(AmalgamError);
    expect(() => parse(text)).toThrow('"model.safetensors.index.json"');
  }
});

test("parseIndex() refuses an index above its limit before looking at it", () => {
  expect(() => parseIndex(new Uint8Array((64 << 20) + 1), "x")).toThrow(
    "67,108,865 bytes, above the limit of 67,108,864",
  );
});

const escapes: readonly string[] = [
  "../x.safetensors",
  "/etc/x.safetensors",
  "..\\\\x.safetensors",
  "C:\\\\x.safetensors",
  "c:x.safetensors",
  "sub/x.safetensors",
  "./x.safetensors",
  "%2e%2e%2fx.safetensors",
  "..%2Fx.safetensors",
  "x%00.safetensors",
  "x\\u0000.safetensors",
  "x\\n.safetensors",
  "\\u202ex.safetensors",
  "..",
  "a..safetensors",
];

for (const shard of escapes) {
  test(`parseIndex() refuses the shard name ${shard}`, () => {
    const index = `{"weight_map": {"a": "good.safetensors", "b": "${shard}"}}`;
    expect(() => parse(index)).toThrow(expect.objectContaining({ code: "path_refused" }));
  });
}

test("parseIndex() refuses shards that are not safetensors, and says why pickles are not read", () => {
  for (const shard of ["", "x", "x.safetensors.txt", "x.SAFETENSORS", `${"x".repeat(250)}.safetensors`]) {
    expect(() => parse(`{"weight_map": {"a": "${shard}"}}`), shard).toThrow(
      expect.objectContaining({ code: "checkpoint_malformed" }),
    );
  }
  expect(() => parse('{"weight_map": {"a": "pytorch_model-1-of-2.bin"}}')).toThrow("convert them to safetensors first");
});

test("formatIndex() writes what parseIndex() reads, sorted by name", () => {
  const weightMap = new Map([
    ["b", "model-00002-of-00002.safetensors"],
    ['a "quoted"', "model-00001-of-00002.safetensors"],
  ]);
  const text = formatIndex(weightMap, 1_029_000_000_000, new Map([["amalgam_version", "0.1.0"]]));
  expect(text).toBe(`{
  "metadata": {
    "total_size": 1029000000000,
    "amalgam_version": "0.1.0"
  },
  "weight_map": {
    "a \\"quoted\\"": "model-00001-of-00002.safetensors",
    "b": "model-00002-of-00002.safetensors"
  }
}
`);
  const index = parse(text);
  expect(new Map(index.weightMap)).toEqual(weightMap);
  expect(index.totalSize).toBe(1_029_000_000_000);
  expect(JSON.parse(text)).toMatchObject({ weight_map: Object.fromEntries(weightMap) });
});

test("formatIndex() does not write what it would not read", () => {
  expect(() => formatIndex(new Map([["a", "../x.safetensors"]]), 1)).toThrow("its name is a path");
});
