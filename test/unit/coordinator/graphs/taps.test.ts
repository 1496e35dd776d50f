import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildGraphs } from "../../../../coordinator/graphs/families.js";
import { readTaps, withTaps } from "../../../../coordinator/graphs/taps.js";
import type { GraphRequest, ModelGraphs } from "../../../../coordinator/graphs/types.js";
import { withTempDir, writeCheckpoint } from "../../../support/checkpoints.js";
import { madeWeight, madeWeights } from "../../../support/made-weights.js";
import { repositoryPath } from "../../../support/repository.js";
import { type Feed, runGraph } from "../../../support/run-graph.js";

interface Model {
  readonly config: { readonly model_type: string; readonly [key: string]: unknown };
  readonly shapes: Readonly<Record<string, readonly number[]>>;
}

function build({ config, shapes }: Model, request: Partial<GraphRequest>): ModelGraphs {
  const tensors = new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: "F32" }]));
  return buildGraphs({ config, tensors, configFile: "config.json", ...request });
}

function golden<Content>(path: string): Content {
  return JSON.parse(readFileSync(repositoryPath("test/conformance/graphs", path), "utf8")) as Content;
}

/** x Wᵀ + b for one row, with the weights that all models here have. */
function linear(x: ArrayLike<number>, module: string, shapes: Model["shapes"], transposed: boolean): number[] {
  const shape = shapes[`${module}.weight`] ?? [];
  const weight = madeWeight(`${module}.weight`, shape);
  const width = shape[transposed ? 0 : 1] ?? 0;
  const out = shape[transposed ? 1 : 0] ?? 0;
  const bias = madeWeight(`${module}.bias`, [out]);
  return Array.from({ length: out }, (_, row) => {
    let sum = bias[row] ?? 0;
    for (let k = 0; k < width; k++) sum += (x[k] ?? 0) * (weight[transposed ? k * out + row : row * width + k] ?? 0);
    return sum;
  });
}

describe("a text classifier", () => {
  const model = golden<{ readonly classifier: Model }>("encoders/bert.json").classifier;
  const ids = [3, 7, 2, 9, 4];
  const feeds: Record<string, Feed> = Object.fromEntries(
    Object.entries({ input_ids: ids, attention_mask: ids.map(() => 1), token_type_ids: ids.map(() => 0) }).map(
      ([name, values]) => [name, { type: "I64", shape: [1, ids.length], values }],
    ),
  );
  let folder: Awaited<ReturnType<typeof withTempDir>>;
  let checkpoint: string;
  beforeAll(async () => {
    folder = await withTempDir();
    checkpoint = await writeCheckpoint(join(folder.path, "model"), madeWeights(model.shapes));
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  async function run(graphs: ModelGraphs) {
    const outputs = await runGraph(graphs.graphs.body?.model ?? new Uint8Array(), checkpoint, feeds);
    const numbers = Float32Array.from(outputs["taps"]?.values ?? [], Number);
    return { outputs, numbers, inputs: readTaps(graphs.taps ?? [], numbers) };
  }

  test("tells what each linear layer is given: matrices that share an input once, the head one row", async () => {
    const graphs = build(model, { taps: true });
    const { outputs, inputs } = await run(graphs);
    const taps = graphs.taps ?? [];
    const named = taps.flatMap(({ layers }) => layers.map(({ weight }) => weight));
    const matrices = Object.entries(model.shapes).filter(
      ([name, shape]) => shape.length === 2 && !name.includes("embeddings"),
    );
    expect(named.toSorted()).toEqual(matrices.map(([name]) => name).toSorted());
    expect(taps[0]?.layers.map(({ weight }) => weight.split(".").at(-2))).toEqual(["query", "key", "value"]);

    // The head's input makes the logits.
    const head = taps.findIndex(({ layers }) => layers.some(({ weight }) => weight === "classifier.weight"));
    const logits = linear(inputs[head] ?? [], "classifier", model.shapes, false);
    logits.forEach((logit, i) => {
      expect(Number(outputs["logits"]?.values[i])).toBeCloseTo(logit, 4);
    });
    expect(inputs[head]?.length).toBe(taps[head]?.width);
    // And what makes the head's input: tanh of the pooler, of the first token's last norm.
    const pooler = taps.findIndex(({ layers }) => layers.some(({ weight }) => weight.endsWith("pooler.dense.weight")));
    const pooled = linear(inputs[pooler] ?? [], "bert.pooler.dense", model.shapes, false).map(Math.tanh);
    pooled.forEach((value, i) => {
      expect(inputs[head]?.[i]).toBeCloseTo(value, 5);
    });
  });

  test("gives the first layer the normed sum of the embeddings, a row for each token", async () => {
    const { inputs } = await run(build(model, { taps: true }));
    const table = (name: string) => `bert.embeddings.${name}`;
    const width = model.shapes[table("word_embeddings.weight")]?.[1] ?? 0;
    const rowOf = (name: string, row: number): Float32Array => {
      return madeWeight(table(name), model.shapes[table(name)] ?? []).slice(row * width, (row + 1) * width);
    };
    const [scale, shift] = ["weight", "bias"].map((word) => madeWeight(table(`LayerNorm.${word}`), [width]));
    expect(inputs[0]?.length).toBe(ids.length * width);
    for (const [at, id] of ids.entries()) {
      const [word, place, type] = [
        rowOf("word_embeddings.weight", id),
        rowOf("position_embeddings.weight", at),
        rowOf("token_type_embeddings.weight", 0),
      ];
      const sum = Array.from(word ?? [], (value, k) => value + (place?.[k] ?? 0) + (type?.[k] ?? 0));
      const mean = sum.reduce((total, value) => total + value, 0) / width;
      const variance = sum.reduce((total, value) => total + (value - mean) ** 2, 0) / width;
      sum.forEach((value, k) => {
        const normed = ((value - mean) / Math.sqrt(variance + 1e-12)) * (scale?.[k] ?? 0) + (shift?.[k] ?? 0);
        expect(inputs[0]?.[at * width + k]).toBeCloseTo(normed, 4);
      });
    }
  });

  test("leaves out tokens evenly where there would be too many numbers", async () => {
    const plain = build(model, {});
    const whole = await run(withTaps(plain));
    const total = (withTaps(plain).taps ?? []).reduce((sum, { width }) => sum + width, 0);
    // Room for 2 of 5 tokens: every third.
    const few = await run(withTaps(plain, 2.5 * total));
    const width = withTaps(plain).taps?.[0]?.width ?? 0;
    const rows = [0, 3].flatMap((row) => [...(whole.inputs[0]?.subarray(row * width, (row + 1) * width) ?? [])]);
    expect([...(few.inputs[0] ?? [])]).toEqual(rows);
    expect(few.inputs.at(-1)).toEqual(whole.inputs.at(-1));
    expect(few.numbers.length).toBeLessThanOrEqual(2.5 * total);
  });

  test("has no more than it asked for", () => {
    expect(build(model, {}).taps).toBeUndefined();
    expect(() => readTaps([{ width: 2, layers: [] }], Float32Array.of(3, 1, 1))).toThrow("3 numbers instead of 7");
  });
});

test("a model of images and texts is refused: it has two bodies", () => {
  const models = golden<{ readonly models: readonly Model[] }>("vision.json").models;
  const clip = models.find(({ config }) => config.model_type === "clip");
  if (clip === undefined) throw new Error("There is no CLIP");
  const shapes = clip.shapes;
  expect(() => build({ ...clip, shapes }, { taps: true })).toThrow('a model of type "clip": it is not one graph');
});
