import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encoderFamilies } from "../../../coordinator/graphs/encoder/families.js";
import type { GraphRequest, ModelGraphs, Pooling } from "../../../coordinator/graphs/types.js";
import { type TestTensor, withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import {
  cornerOf,
  largestDifference,
  padLeft,
  present,
  runOnText,
  type TextRows,
} from "../../support/graph-goldens.js";
import { madeWeights } from "../../support/made-weights.js";
import { repositoryPath } from "../../support/repository.js";

// What transformers answers, see encoders.py: tiny models of every family, and published configs at two layers.

interface Model {
  readonly family: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
}

interface Inputs extends TextRows {
  readonly attention_mask: readonly number[][];
}

interface Golden extends Model {
  readonly batches: { readonly padded: Batch; readonly one?: Batch; readonly longest?: Batch };
  readonly classifier?: Model & { readonly inputs: Inputs; readonly logits: readonly number[] };
}

interface Batch {
  readonly inputs: Inputs;
  readonly hidden: readonly number[];
  readonly hiddenShape: readonly [number, number, number];
  /** By how: the first values of each vector. */
  readonly pooled?: Readonly<Record<string, readonly number[]>>;
}

const folder = repositoryPath("test/conformance/graphs/encoders");
const goldens = readdirSync(folder).map((file) => ({
  name: file.replace(/\.json$/, ""),
  golden: JSON.parse(readFileSync(join(folder, file), "utf8")) as Golden,
}));
const tolerance = 1e-4;

describe.each(goldens)("$name of transformers", ({ golden }) => {
  const weights = madeWeights(golden.shapes);
  let temp: Awaited<ReturnType<typeof withTempDir>>;
  beforeAll(async () => {
    temp = await withTempDir();
    await writeCheckpoint(temp.path, weights);
  });
  afterAll(() => temp[Symbol.asyncDispose]());

  test.each(Object.entries(golden.batches))("has the same hidden states, batch %s", async (label, batch) => {
    const { graphs, kind } = build(golden, weights, {});
    expect(kind).toBe("encoder");
    const hidden = await runOnText(graphs.body, temp.path, batch.inputs, "hidden");
    const side = label === "longest" ? "last" : "first";
    const corner = cornerOf(hidden, batch.inputs.attention_mask, batch.hiddenShape, side);
    expect(largestDifference(corner, batch.hidden)).toBeLessThan(tolerance);
  });

  const { inputs, pooled = {} } = golden.batches.padded;
  test.each(Object.entries(pooled))(
    "has the same vectors, pooled by %s, whichever side padding is on",
    async (by, rows) => {
      const { graphs } = build(golden, weights, { pooling: poolingBy(by) });
      for (const padded of [inputs, padLeft(inputs, inputs.attention_mask)]) {
        const { shape, values } = await runOnText(graphs.body, temp.path, padded, "vectors");
        const [batch = 0, width = 0] = shape;
        const corner = Array.from(values, Number).filter((_, i) => i % width < rows.length / batch);
        expect(largestDifference(corner, rows)).toBeLessThan(tolerance);
      }
    },
  );
});

test.each(goldens.filter(({ golden }) => golden.classifier !== undefined))(
  "a classifier on $name has the same logits",
  async ({ golden }) => {
    const classifier = present(golden.classifier, "classifier");
    await using temp = await withTempDir();
    const weights = madeWeights(classifier.shapes);
    await writeCheckpoint(temp.path, weights);
    const { graphs, kind, labels } = build(classifier, weights, {});
    expect({ kind, labels }).toEqual({ kind: "classifier", labels: ["bad", "fair", "good"] });
    const { shape, values } = await runOnText(graphs.body, temp.path, classifier.inputs, "logits");
    expect(shape).toEqual([3, 3]);
    expect(largestDifference(values, classifier.logits)).toBeLessThan(tolerance);
  },
);

test("the longest input is as long as the positions allow", () => {
  const longest = goldens.flatMap(({ golden }) => {
    const rows = golden.batches.longest?.inputs.attention_mask[0];
    return rows === undefined ? [] : [{ golden, tokens: rows.length }];
  });
  expect(longest.length).toBeGreaterThan(5);
  for (const { golden, tokens } of longest) {
    expect(build(golden, madeWeights(golden.shapes), {}).maxTokens).toBe(tokens);
  }
});

function build(
  { family, config }: Model,
  tensors: ReadonlyMap<string, TestTensor>,
  how: Partial<GraphRequest>,
): ModelGraphs {
  return present(encoderFamilies[family], family)({ config, tensors, configFile: "config.json", ...how });
}

/** `mean normalized` */
function poolingBy(words: string): Pooling {
  const [mode, normalized] = words.split(" ");
  return { mode: mode as Pooling["mode"], normalize: normalized !== undefined };
}
