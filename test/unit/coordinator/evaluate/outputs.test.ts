import { expect, test } from "vitest";
import { EvaluationJournal } from "../../../../coordinator/evaluate/journal.js";
import { type Answerable, TaskOutputs } from "../../../../coordinator/evaluate/outputs.js";
import type { BatchOutput } from "../../../../coordinator/evaluate/types.js";
import { GraphBuilder } from "../../../../shared/onnx/graph-builder.js";
import { withTempDir } from "../../../support/checkpoints.js";
import { modelGraphs } from "../../../support/prepare.js";

const plan = { measure: { kind: "vectors", graph: "body" }, examples: 1, cost: 1, bytes: 4 } as const;
const prepared: Answerable = {
  digest: "d",
  graphs: modelGraphs("encoder", { body: [["input_ids"], ["vectors"]] }),
  batches: [plan, plan, plan],
};

function answer(value: number): BatchOutput {
  return { kind: "vectors", width: 1, values: Float32Array.of(value) };
}

test("answers are complete when each batch has one, and come in the order of batches", () => {
  const outputs = new TaskOutputs("model", prepared, undefined);
  for (const batch of [2, 0]) outputs.add(batch, answer(batch), 0.5);
  expect([0, 1, 2, 3].map((batch) => outputs.has(batch))).toEqual([true, false, true, false]);
  expect(outputs.isComplete).toBe(false);
  outputs.add(1, answer(1), 0.25);
  expect(outputs.isComplete).toBe(true);
  expect(outputs.seconds).toBe(1.25);
  expect(outputs.take()).toEqual([answer(0), answer(1), answer(2)]);
});

test("the first answer to a batch counts, also when the answers have been taken", () => {
  const outputs = new TaskOutputs("model", prepared, undefined);
  for (const batch of [0, 1, 2]) outputs.add(batch, answer(batch), 1);
  outputs.add(1, answer(9), 1);
  expect(outputs.take()[1]).toEqual(answer(1));
  outputs.add(1, answer(9), 1);
  expect([outputs.has(1), outputs.isComplete, outputs.seconds]).toEqual([true, true, 3]);
});

const other = new GraphBuilder("other");
other.output("vectors", other.input("input_ids", "INT64", ["batch"]), "INT64", ["batch"]);

const changes: readonly (readonly [string, string, Answerable])[] = [
  ["weights", "other model", prepared],
  ["data or settings", "model", { ...prepared, digest: "other" }],
  ["graphs", "model", { ...prepared, graphs: { ...prepared.graphs, graphs: { body: other.build() } } }],
  ["the first token of a decoder", "model", { ...prepared, graphs: { ...prepared.graphs, decoderStart: 1 } }],
];

test("what an earlier run has found out is found by the same, and by nobody else", async () => {
  await using folder = await withTempDir();
  {
    await using journal = await EvaluationJournal.open(folder.path);
    new TaskOutputs("model", prepared, journal).add(1, answer(7), 1);
  }
  await using journal = await EvaluationJournal.open(folder.path);
  const same = new TaskOutputs("model", prepared, journal);
  expect([0, 1, 2].map((batch) => same.has(batch))).toEqual([false, true, false]);
  expect(same.seconds).toBe(0);
  for (const [what, model, changed] of changes) {
    expect(new TaskOutputs(model, changed, journal).has(1), what).toBe(false);
  }
});
