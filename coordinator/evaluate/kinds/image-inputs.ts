import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { dirname, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { quote } from "../../../shared/quote.js";
import type { ImageFile } from "../images/image-file.js";
import type { ImageProcessor } from "../images/processor.js";
import { renderImage } from "../tasks/render.js";
import type { Template } from "../tasks/template.js";
import { evenBatches } from "../text/batches.js";
import type { Row, Task } from "../types.js";
import { rowError } from "./mismatch.js";
import type { ExampleInputs } from "./run.js";

/** Images as inputs of a graph. Files are read twice: now for their digest, so that none is missing, and to be run. */
export async function imageInputs(
  task: Task,
  template: Template,
  processor: ImageProcessor,
  rows: readonly Row[],
): Promise<ExampleInputs> {
  const images: ImageFile[] = [];
  const digests: string[] = [];
  for (const row of rows) {
    const found = renderImage(template, row);
    const image = typeof found === "string" ? resolve(dirname(task.file), found) : { bytes: found, place: row.place };
    images.push(image);
    digests.push(await digestOf(image, row));
  }
  const { channels, height, width, processing } = processor;
  return {
    batches: evenBatches(images.length, task.batchExamples),
    sizeOf: ({ length }) => {
      const bytes = length * channels * height * width;
      return { cost: bytes, bytes };
    },
    load: async (examples) => {
      const batch = await processor.loadBatch(examples.flatMap((example) => images[example] ?? []));
      return new Map([["pixel_values", batch]]);
    },
    addTo: (hash) => void hash.update(JSON.stringify([processing, digests])),
  };
}

async function digestOf(image: ImageFile, row: Row): Promise<string> {
  const hash = createHash("sha256");
  if (typeof image !== "string") return hash.update(image.bytes).digest("hex");
  try {
    await pipeline(createReadStream(image), hash);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw rowError(row, `Cannot read image ${quote(image)}: ${reason}`);
  }
  return hash.digest("hex");
}
