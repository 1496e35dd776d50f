import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readProcessor } from "../../../coordinator/evaluate/images/processor.js";
import { withTempDir } from "../../support/checkpoints.js";
import { repositoryPath } from "../../support/repository.js";

// Image files to pixels, against the processors of transformers that work with Pillow; see images.py.

interface Golden {
  readonly cases: readonly {
    readonly image: string;
    readonly processor: string;
    readonly config: object;
    readonly shape: readonly [channels: number, height: number, width: number];
    readonly f32: string;
  }[];
}

const folder = repositoryPath("test/conformance/graphs");
const golden: Golden = JSON.parse(readFileSync(join(folder, "images.json"), "utf8"));

test.each(golden.cases)("$image for $processor", async ({ image, config, shape, f32 }) => {
  await using checkpoint = await withTempDir();
  await writeFile(join(checkpoint.path, "preprocessor_config.json"), JSON.stringify(config));
  const processor = await readProcessor(checkpoint.path);
  const batch = await processor.loadBatch([join(folder, "images", image)]);
  expect(batch).toMatchObject({ dtype: "U8", shape: [1, ...shape] });

  const { scale = [], shift = [] } = batch;
  const area = shape[1] * shape[2];
  // Decoders of lossy files may round differently: one level of 256.
  const levels = /\.(jpg|webp)$/.test(image) ? 1 : 0;
  const tolerance = levels * Math.max(...scale) + 2e-6 * Math.max(...scale) * 255;
  const reference = new Float32Array(new Uint8Array(Buffer.from(f32, "base64")).buffer);
  expect(reference).toHaveLength(batch.data.length);
  const differences = reference.map((value, i) => {
    const channel = Math.floor(i / area);
    return Math.abs(value - ((batch.data[i] ?? NaN) * (scale[channel] ?? NaN) + (shift[channel] ?? NaN)));
  });
  expect(Math.max(...differences)).toBeLessThan(tolerance);
});
