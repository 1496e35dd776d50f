import { describe, expect, test } from "vitest";
import type { BatchOutput } from "../../../../../coordinator/evaluate/types.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { jsonLines, modelGraphs, prepareInFolder } from "../../../../support/prepare.js";

const graphs = modelGraphs("classifier", { body: [["input_ids", "attention_mask"], ["logits"]] });
const data = jsonLines([
  { s: "a", y: 1 },
  { s: "b", y: 2 },
]);
const task = '{kind: custom, module: ./score.mjs, data: d.jsonl, text: "{{s}}", output: logits}';
const outputs: readonly BatchOutput[] = [{ kind: "vectors", values: Float32Array.of(1, 4), width: 1 }];

async function scoredBy(module: string) {
  await using folder = await withTempDir();
  const prepared = await prepareInFolder(folder.path, task, { "d.jsonl": data, "score.mjs": module }, { graphs });
  const records = await prepared.finish(outputs);
  return prepared.metrics.map((metric) => [metric.name, metric.higherIsBetter, metric.of(records)]);
}

const scores = 'export const scores = { error: "lower" };\n';

describe("a module", () => {
  test("makes scores of outputs and rows", async () => {
    const score =
      "export default (outputs, rows) => rows.map((row, i) => ({ scores: { error: outputs[i][0] - row.y } }));";
    expect(await scoredBy(scores + score)).toEqual([["error", false, 1]]);
  });

  test.each([
    ["has no function", scores, /tasks\.yaml:2:\d+ {2}Task "t".*no function as its default export/],
    ["names no scores", "export default () => [];", /must export "scores"/],
    ["does not parse", "export default (", /cannot be loaded/],
    ["throws", `${scores}export default () => { throw new Error("oh"); };`, /score\.mjs": it threw "oh"/],
    ["gives too few", `${scores}export default () => [];`, /a list of 2.*returned a list of 0/],
    [
      "gives what no file can hold",
      `${scores}export default (o) => o.map(() => ({ scores: { error: 1 }, answer: 1n }));`,
      /"answer" of example 0 cannot be written as JSON.*BigInt/,
    ],
    ["forgets a score", `${scores}export default (o) => o.map(() => ({}));`, /example 0 .*d\.jsonl:1.*"error"/],
  ])("that %s is told so", async (_, module, message) => {
    await expect(scoredBy(module)).rejects.toThrow(message);
  });
});
