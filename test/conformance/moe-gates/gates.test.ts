import { readFileSync } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { padBatch } from "../../../coordinator/evaluate/text/pad.js";
import { buildGraphs } from "../../../coordinator/graphs/families.js";
import { gateRows } from "../../../coordinator/moe/hidden/gate-rows.js";
import type { HiddenQuestions } from "../../../coordinator/moe/hidden/questions.js";
import { openMoeModels, prepareMoe } from "../../../coordinator/moe/plan-moe.js";
import { parseMoeConfig } from "../../../coordinator/moe/read-config.js";
import { withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { madeWeights } from "../../support/made-weights.js";
import { repositoryPath } from "../../support/repository.js";
import { type Feed, runGraph } from "../../support/run-graph.js";

// What mergekit-moe makes of hidden states; make_gates.py says what is changed in it for that, and why.

interface Prompts {
  readonly positive: readonly string[];
  readonly negative: readonly string[];
}

interface Case {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>> & { readonly model_type: string; readonly hidden_size: number };
  readonly gate_mode: string;
  readonly weights: Readonly<Record<string, readonly number[]>>;
  readonly experts: readonly Prompts[];
  readonly shared_experts: readonly Prompts[];
  /** [layers, experts and shared experts, hidden] */
  readonly gates: readonly number[];
}

const goldens = JSON.parse(readFileSync(repositoryPath("test/conformance/moe-gates/gates.json"), "utf8")) as {
  readonly cases: readonly Case[];
};
const cases = goldens.cases.map((golden) => {
  return { title: `${golden.config.model_type}, ${golden.gate_mode}: ${golden.name}`, golden };
});

/** Rows of length 1: what a row may differ by is the same part of each. Measured: at most 6e-6. */
const tolerance = 1e-4;

/** The model of a case under a name, with its tokenizer, and a config that makes several experts of it. */
async function write(folder: string, { config, weights, gate_mode, ...prompts }: Case): Promise<string> {
  const model = join(folder, "model");
  await mkdir(model);
  await writeCheckpoint(model, madeWeights(weights), { config });
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    await copyFile(repositoryPath("test/conformance/goldens/models-vocab/base", name), join(model, name));
  }
  const expert = ({ positive, negative }: Prompts) => {
    return { source_model: "model", positive_prompts: positive, negative_prompts: negative };
  };
  // JSON is YAML.
  const text = JSON.stringify({
    ...{ base_model: "model", gate_mode, dtype: "float32" },
    ...{ experts: prompts.experts.map(expert), shared_experts: prompts.shared_experts.map(expert) },
  });
  const file = join(folder, "config.yaml");
  await writeFile(file, text);
  return file;
}

function expectGates(found: readonly number[], golden: readonly number[]): void {
  expect(found).toHaveLength(golden.length);
  const worst = found.reduce((most, value, i) => {
    const difference = Math.abs(value - (golden[i] ?? Number.NaN));
    return difference <= most ? most : difference;
  }, 0);
  expect(worst).toBeLessThan(tolerance);
}

/** All prompts in one batch, padded on the side that mergekit does not take. */
function feedsOf({ sequences }: HiddenQuestions): Record<string, Feed> {
  const options = { side: "right", pad: 0, inputs: new Set(["input_ids", "attention_mask"]) } as const;
  const batch = padBatch(
    sequences.map((ids) => ({ ids, types: undefined })),
    options,
  );
  return Object.fromEntries(
    [...batch].map(([name, { shape, data }]) => {
      return [name, { type: "I64", shape, values: [...new Int32Array(data.buffer)] }];
    }),
  );
}

describe("gates are those of mergekit-moe", () => {
  test.each(cases)("$title", async ({ golden }) => {
    await using folder = await withTempDir();
    const file = await write(folder.path, golden);
    const config = parseMoeConfig(readFileSync(file, "utf8"), file, { allowIdenticalExperts: true });
    const { base, hidden } = prepareMoe(config, await openMoeModels(config));
    if (hidden === undefined) throw new Error("The case asks for no hidden states");
    const { questions, shape } = hidden;
    const { config: model, tensors, directory } = base.checkpoint;
    const pooling = { mode: questions.pooling, normalize: false };
    for (const provider of ["any", "cpu"] as const) {
      const { body } = buildGraphs({
        config: model,
        tensors,
        configFile: "",
        output: "layers",
        pooling,
        provider,
      }).graphs;
      if (body === undefined) throw new Error("There is no body");
      const { layers } = await runGraph(body.model, directory, feedsOf(questions));
      const values = layers?.values as Float32Array;
      const width = shape.layers * shape.hidden;
      const states = questions.sequences.map((_, i) => values.subarray(i * width, (i + 1) * width));
      const all = [...questions.experts, ...questions.sharedExperts];
      expectGates([...gateRows(all, { ...shape, states })], golden.gates);
    }
  });
});
