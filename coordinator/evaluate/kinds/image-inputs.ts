import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { dirname, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { quote } from "../../../shared/quote.js";
import type { ImageProcessor } from "../images/processor.js";
import { renderText } from "../tasks/render.js";
import type { Template } from "../tasks/template.js";
import { evenBatches } from "../text/batches.js";
import type { Row, Task } from "../types.js";
import { rowError } from "./mismatch.js";
import type { ExampleInputs } from "./run.js";

/** Image files as inputs of a graph. They are read twice: now for their digest, so that none is missing, and to be run. */
export async function imageInputs(
  task: Task,
  template: Template,
  processor: ImageProcessor,
  rows: readonly Row[],
): Promise<ExampleInputs> {
  const paths: string[] = [];
  const digests: string[] = [];
  for (const row of rows) {
    const path = resolve(dirname(task.file), renderText(template, row));
    paths.push(path);
    digests.push(await digestOf(path, row));
  }
  const { channels, height, width, processing } = processor;
  return {
    batches: evenBatches(paths.length, task.batchExamples),
    sizeOf: ({ length }) => {
      const bytes = length * channels * height * width;
      return { cost: bytes, bytes };
    },
    load: async (examples) => {
      const batch = await processor.loadBatch(examples.flatMap((example) => paths[example] ?? []));
      return new Map([["pixel_values", batch]]);
    },
    addTo: (hash) => void hash.update(JSON.stringify([processing, digests])),
  };
}

async function digestOf(path: string, row: Row): Promise<string> {
  const hash = createHash("sha256");
  try {
    await pipeline(createReadStream(path), hash);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw rowError(row, `Cannot read image ${quote(path)}: ${reason}`);
  }
  return hash.digest("hex");
}
