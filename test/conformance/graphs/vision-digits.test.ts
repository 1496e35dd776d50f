import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { vit } from "../../../coordinator/graphs/vision/vit.js";
import { openCheckpoint } from "../../../shared/checkpoint/open.js";
import { readTensor } from "../../support/checkpoints.js";
import { repositoryPath } from "../../support/repository.js";
import { type Feed, runGraph } from "../../support/run-graph.js";

// The example's checkpoints through a graph that is built from config.json, and through the one that PyTorch exported.

const example = repositoryPath("examples/digits");
const tasks = ["inverted", "mirrored", "noisy", "rotated", "sheared"];

test.each([...tasks.map((task) => ({ checkpoint: `experts/${task}`, task })), { checkpoint: "base", task: "rotated" }])(
  "$checkpoint on $task digits",
  async ({ checkpoint, task }) => {
    const directory = `${example}/${checkpoint}`;
    const configFile = `${directory}/config.json`;
    const { tensors } = await openCheckpoint(directory);
    const graphs = vit({ config: JSON.parse(readFileSync(configFile, "utf8")), tensors, configFile });
    expect(graphs).toMatchObject({
      kind: "classifier",
      image: { channels: 1, height: 8, width: 8 },
      labels: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    });

    const values = readTensor(await openCheckpoint(`${example}/eval/${task}.safetensors`), "pixel_values");
    const pixels: Feed = { type: "F32", shape: [values.length / 64, 1, 8, 8], values };
    const built = await logits(graphs.graphs.body?.model ?? new Uint8Array(), directory, pixels);
    const exported = await logits(readFileSync(`${example}/model.onnx`), directory, pixels);
    expect(built).toHaveLength((values.length / 64) * 10);
    expect(Math.max(...built.map((value, i) => Math.abs(value - (exported[i] ?? NaN))))).toBeLessThan(1e-4);
    expect(best(built)).toEqual(best(exported));
  },
);

async function logits(model: Uint8Array, directory: string, pixels: Feed): Promise<readonly number[]> {
  const outputs = await runGraph(model, directory, { pixel_values: pixels });
  return Array.from(outputs["logits"]?.values ?? [], Number);
}

function best(logits: readonly number[]): readonly number[] {
  return Array.from({ length: logits.length / 10 }, (_, row) => {
    const own = logits.slice(10 * row, 10 * row + 10);
    return own.indexOf(Math.max(...own));
  });
}
