import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GraphRequest, GraphRole } from "../../../coordinator/graphs/types.js";
import { visionFamilies } from "../../../coordinator/graphs/vision/families.js";
import { type TestTensor, withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { madeWeight } from "../../support/made-weights.js";
import { repositoryPath } from "../../support/repository.js";
import { type Feed, runGraph } from "../../support/run-graph.js";

// What transformers answers, see vision.py: tiny models of every form, and published configs at one or two layers.

interface Golden {
  readonly made_by: string;
  readonly models: readonly {
    readonly config: { readonly model_type: string };
    readonly shapes: Readonly<Record<string, readonly number[]>>;
    readonly cases: readonly GoldenCase[];
  }[];
}

interface GoldenCase {
  readonly name: string;
  readonly request: Partial<GraphRequest>;
  readonly role: GraphRole;
  readonly inputs: {
    readonly images?: number;
    readonly input_ids: readonly number[][];
    readonly attention_mask: readonly number[][];
  };
  readonly output: "logits" | "hidden" | "vectors";
  readonly shape: readonly number[];
  /** The first values of each row. */
  readonly rows: readonly number[][];
}

const golden: Golden = JSON.parse(readFileSync(repositoryPath("test/conformance/graphs/vision.json"), "utf8"));

describe.each(golden.models)("a model of transformers, $config.model_type", ({ config, shapes, cases }) => {
  let folder: Awaited<ReturnType<typeof withTempDir>>;
  let checkpoint: string;
  beforeAll(async () => {
    folder = await withTempDir();
    checkpoint = await writeCheckpoint(join(folder.path, "model"), weights(shapes), { config });
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  test.each(cases)("$name", async ({ request, role, inputs, output, shape, rows }) => {
    const family = visionFamilies[config.model_type];
    const tensors = new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: "F32" }]));
    const graphs = family?.({ config, tensors, configFile: "config.json", output, ...request });
    const graph = graphs?.graphs[role];
    if (graphs === undefined || graph === undefined) throw new Error(`No graph for ${role}`);

    const outputs = await runGraph(graph.model, checkpoint, feeds(inputs, graphs.image));
    const got = outputs[output];
    expect(got?.shape).toEqual(shape);
    expect(largestDifference(Float32Array.from(got?.values ?? [], Number), rows)).toBeLessThan(1e-4);
  });
});

/** As norm_aware in vision.py. */
function weights(shapes: Readonly<Record<string, readonly number[]>>): Map<string, TestTensor> {
  return new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const values = madeWeight(name, shape);
      const isKnown = name.endsWith("norm.weight") || name.includes("LayerNorm.weight");
      const isNorm = shape.length === 1 && name.includes("norm") && name.endsWith(".weight");
      return [name, { dtype: "F32", shape, values: isNorm && !isKnown ? values.map((value) => value + 1) : values }];
    }),
  );
}

function feeds(
  { images, ...tokens }: GoldenCase["inputs"],
  image: { readonly channels: number; readonly height: number; readonly width: number } | undefined,
): Record<string, Feed> {
  if (images !== undefined && image !== undefined) {
    const shape = [images, image.channels, image.height, image.width];
    const values = madeWeight("pixel_values", shape).map((value) => value * 4);
    return { pixel_values: { type: "F32", shape, values } };
  }
  return Object.fromEntries(
    Object.entries(tokens).map(([name, rows]) => {
      return [name, { type: "I64", shape: [rows.length, rows[0]?.length ?? 0], values: rows.flat() }];
    }),
  );
}

/** NaN, which is no less than anything, where a value is missing. */
function largestDifference(values: Float32Array, rows: readonly number[][]): number {
  const stride = values.length / rows.length;
  const differences = rows.flatMap((row, r) =>
    row.map((value, i) => Math.abs(value - (values[r * stride + i] ?? NaN))),
  );
  return Math.max(...differences);
}
