import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { widen } from "../../../../shared/checkpoint/convert.js";
import type { ComputableDtype } from "../../../../shared/checkpoint/dtypes.js";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import { bindWeights } from "../../../../shared/onnx/bind-weights.js";
import { GraphBuilder } from "../../../../shared/onnx/graph-builder.js";
import { type TestTensors, withTempDir, writeCheckpoint } from "../../../support/checkpoints.js";
import { repositoryPath } from "../../../support/repository.js";
import { runGraph } from "../../../support/run-graph.js";

/** By test/conformance/exports/make_fp8.py; bytes are base64. */
interface Golden {
  readonly name: string;
  readonly dtype: ComputableDtype;
  readonly shape: readonly number[];
  readonly bytes: string;
  readonly scaleName: string;
  readonly scaleDtype: ComputableDtype;
  readonly scaleShape: readonly number[];
  readonly scale: string;
  readonly block: readonly number[] | null;
  readonly expected: string;
}

const goldens = JSON.parse(
  readFileSync(repositoryPath("test", "conformance", "exports", "fp8.json"), "utf8"),
) as Golden[];

function decode(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, "base64"));
}

/** A graph whose one output is the weight "weight", plus an input, without which there is nothing to run. */
function weightGraph(shape: readonly number[]): Uint8Array {
  const g = new GraphBuilder("weight");
  const nothing = g.input("nothing", "FLOAT", []);
  g.output("seen", g.op("Sub", [g.weight("weight", shape), nothing]), "FLOAT", shape);
  return g.build().model;
}

async function seen(path: string, shape: readonly number[]): Promise<unknown> {
  const feeds = { nothing: { type: "F32", shape: [], values: [0] } } as const;
  return (await runGraph(weightGraph(shape), path, feeds))["seen"]?.values;
}

test.each(goldens)("an FP8 weight has the values that PyTorch gives it: $name", async (golden) => {
  await using folder = await withTempDir();
  const tensors: TestTensors = {
    weight: { dtype: golden.dtype, shape: golden.shape, bytes: decode(golden.bytes) },
    [golden.scaleName]: { dtype: golden.scaleDtype, shape: golden.scaleShape, bytes: decode(golden.scale) },
  };
  const config = golden.block === null ? {} : { quantization_config: { weight_block_size: golden.block } };
  const path = await writeCheckpoint(join(folder.path, "model"), tensors, { config });
  expect(await seen(path, golden.shape)).toEqual(widen("F32", decode(golden.expected)));
});

test.each(["F8_E4M3", "F8_E5M2"] as const)("%s without scales is what its bytes say", async (dtype) => {
  await using folder = await withTempDir();
  // Every pattern but the NaNs and infinities, which are no weights.
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i).filter((i) => (i & 0x7f) < 0x7c);
  const path = await writeCheckpoint(join(folder.path, "model"), { weight: { dtype, shape: [bytes.length], bytes } });
  expect(await seen(path, [bytes.length])).toEqual(widen(dtype, bytes));
});

test("an FP8 table is cast before rows are looked up, as ONNX looks up no FP8", async () => {
  await using folder = await withTempDir();
  const bytes = Uint8Array.from([0x38, 0x40, 0x48, 0x50]);
  const path = await writeCheckpoint(join(folder.path, "model"), {
    table: { dtype: "F8_E4M3", shape: [2, 2], bytes },
  });
  const g = new GraphBuilder("lookup");
  const rows = g.input("rows", "INT64", ["batch"]);
  g.output("found", g.op("Gather", [g.weight("table", [2, 2]), rows], { axis: 0 }), "FLOAT", ["batch", 2]);
  const { found } = await runGraph(g.build().model, path, { rows: { type: "I64", shape: [1], values: [1] } });
  expect(found?.values).toEqual(widen("F8_E4M3", bytes.subarray(2)));
});

test("scales of a shape that means nothing are an error that names them", async () => {
  await using folder = await withTempDir();
  const path = await writeCheckpoint(join(folder.path, "model"), {
    weight: { dtype: "F8_E4M3", shape: [4, 4], bytes: new Uint8Array(16) },
    weight_scale_inv: { dtype: "F32", shape: [3, 3], values: Array(9).fill(1) },
  });
  const checkpoint = await openCheckpoint(path);
  expect(() => bindWeights(weightGraph([4, 4]), checkpoint)).toThrow(
    '"weight": its scales "weight_scale_inv" have shape [3, 3]: neither one, nor one per row, nor one per block of 128 × 128 of [4, 4]',
  );
});
