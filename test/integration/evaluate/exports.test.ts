import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bindExport } from "../../../coordinator/evaluate/exports/bind-export.js";
import { openCheckpoint } from "../../../shared/checkpoint/open.js";
import { type TestTensor, withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { madeWeight } from "../../support/made-weights.js";
import { repositoryPath } from "../../support/repository.js";
import { type Feed, runGraph } from "../../support/run-graph.js";

/** By test/conformance/exports/make_exports.py. */
interface Golden {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly inputs: Readonly<Record<string, { readonly shape: number[]; readonly values: number[] }>>;
  readonly logits: { readonly shape: number[]; readonly values: number[] };
}

function golden(model: string): Golden {
  return JSON.parse(readFileSync(exportPath(`${model}.json`), "utf8")) as Golden;
}

function exportPath(name: string): string {
  return repositoryPath("test", "conformance", "exports", name);
}

/** The checkpoint of a golden's model, with weights made for its names with `prefix` in front. */
async function makeCheckpoint(path: string, { shapes }: Golden, prefix: string, dtype: "F32" | "BF16" = "F32") {
  const tensors = Object.entries(shapes).map(([name, shape]): [string, TestTensor] => {
    return [name, { dtype, shape, values: madeWeight(prefix + name, shape) }];
  });
  return openCheckpoint(await writeCheckpoint(path, new Map(tensors)));
}

function largestDifference(a: ArrayLike<number | bigint>, b: readonly number[]): number {
  expect(a.length).toBe(b.length);
  return b.reduce((largest, x, i) => Math.max(largest, Math.abs(x - Number(a[i]))), 0);
}

test.each([
  ["bert", "torchscript"],
  ["bert", "dynamo"],
  ["bert", "fused"],
  ["vit", "torchscript"],
  ["llama", "torchscript"],
  ["llama", "dynamo"],
])("another checkpoint under the %s export by %s gives transformers' logits", async (model, exporter) => {
  await using folder = await withTempDir();
  const expected = golden(model);
  const base = await makeCheckpoint(join(folder.path, "base"), expected, "");
  const other = await makeCheckpoint(join(folder.path, "other"), expected, "other/");
  const bound = await bindExport(exportPath(`${model}-${exporter}.onnx`), base);
  expect(bound.report).toMatchObject({ unused: [], ties: [] });
  const inputs = Object.entries(expected.inputs).filter(([name]) =>
    bound.description.inputs.some((i) => i.name === name),
  );
  const feeds = inputs.map(([name, { shape, values }]): [string, Feed] => {
    return [name, { type: name === "pixel_values" ? "F32" : "I64", shape, values }];
  });
  const { logits } = await runGraph(bound.model, other.directory, Object.fromEntries(feeds), bound.bindings);
  expect(logits?.shape).toEqual(expected.logits.shape);
  expect(largestDifference(logits?.values ?? [], expected.logits.values)).toBeLessThan(1e-4);
});
