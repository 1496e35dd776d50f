import { expect, test } from "vitest";
import { withTempDir } from "../../../../support/checkpoints.js";
import { jsonLines, modelGraphs, prepareInFolder } from "../../../../support/prepare.js";

const graphs = modelGraphs("classifier", { body: [["pixel_values"], ["logits"]] });
const task = "{kind: classification, data: d.jsonl, input: {pixel_values: x}, label: y}";

test("lists of numbers become a tensor with a row per example", async () => {
  await using folder = await withTempDir();
  const rows = [
    {
      x: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      y: 0,
    },
    {
      x: [
        [0, 0],
        [0, 0],
        [0, 0.5],
      ],
      y: 1,
    },
  ];
  const prepared = await prepareInFolder(folder.path, task, { "d.jsonl": jsonLines(rows) }, { graphs });
  const { inputs } = await prepared.load(0);
  expect(inputs.get("pixel_values")).toMatchObject({ dtype: "F32", shape: [2, 3, 2] });
});

test.each([
  // As many numbers as 3 rows of 2 have, and not such rows.
  [[[1, 2], [3], [4, 5, 6]]],
  [[[1, 2], [3]]],
  [[[1, 2], 3]],
  [["a"]],
  [[]],
])("lists of unlike lengths are refused: %j", async (x) => {
  await using folder = await withTempDir();
  const prepared = prepareInFolder(folder.path, task, { "d.jsonl": jsonLines([{ x, y: 0 }]) }, { graphs });
  await expect(prepared).rejects.toThrow(/d\.jsonl:1.*"pixel_values".*"x", which does not hold a tensor/);
});
