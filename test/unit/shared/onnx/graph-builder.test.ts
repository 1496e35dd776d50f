import { expect, test } from "vitest";
import { GraphBuilder } from "../../../../shared/onnx/graph-builder.js";
import { withTempDir, writeCheckpoint } from "../../../support/checkpoints.js";
import { runGraph } from "../../../support/run-graph.js";

test("a branch computes with values, weights and constants from outside, where its condition holds", async () => {
  await using folder = await withTempDir();
  const path = await writeCheckpoint(folder.path, { weight: { dtype: "BF16", shape: [2], values: [10, 20] } });
  const g = new GraphBuilder("branches");
  const x = g.input("x", "FLOAT", ["rows"]);
  const isPositive = g.op("Greater", [g.op("ReduceSum", [x], { keepdims: 0 }), g.constant("FLOAT", 0)]);
  const y = g.branch(
    isPositive,
    () => g.op("Mul", [g.op("Add", [x, g.weight("weight", [2])]), g.constant("FLOAT", 2)]),
    () => g.op("Neg", [x]),
  );
  g.output("y", g.op("Add", [y, g.constant("FLOAT", 1)]), "FLOAT", ["rows"]);
  const { model, weights } = g.build();
  const run = async (values: readonly number[]) => {
    const { y } = await runGraph(model, path, { x: { type: "F32", shape: [2], values } });
    return Array.from(y?.values ?? [], Number);
  };
  expect(weights).toEqual([{ name: "weight", shape: [2] }]);
  expect(await run([1, 2])).toEqual([23, 45]);
  expect(await run([-1, -2])).toEqual([2, 3]);
});
