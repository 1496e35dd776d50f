import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { readRows } from "../../../../../coordinator/evaluate/data/read-rows.js";
import { readProcessing } from "../../../../../coordinator/evaluate/images/processing.js";
import { ImageProcessor } from "../../../../../coordinator/evaluate/images/processor.js";
import { imageInputs } from "../../../../../coordinator/evaluate/kinds/image-inputs.js";
import type { ExampleInputs } from "../../../../../coordinator/evaluate/kinds/run.js";
import { isJinja } from "../../../../../coordinator/evaluate/tasks/template.js";
import type { Row, Task } from "../../../../../coordinator/evaluate/types.js";
import { repositoryPath } from "../../../../support/repository.js";

const names = ["colour.png", "gray.jpg", "lossy.webp"];
const processor = new ImageProcessor(
  readProcessing({ image_processor_type: "ViTImageProcessor", size: { height: 12, width: 10 } }, "processor"),
  "processor",
);

/** A task whose file lies beside the images. */
const task: Task = {
  ...{ name: "t", kind: "classification", settings: {}, limit: undefined, batchExamples: 8, batchTokens: 100 },
  ...{ expert: undefined, metric: undefined, at: { line: 1, column: 1 } },
  file: repositoryPath("test/conformance/graphs/images/tasks.yaml"),
};

function inputsOf(image: string, rows: readonly Row[]): Promise<ExampleInputs> {
  const template = { kind: isJinja(image) ? "jinja" : "column", source: image, place: "tasks.yaml:4:9" } as const;
  return imageInputs(task, template, processor, rows);
}

async function rowsOfParquet(): Promise<readonly Row[]> {
  return readRows({ paths: [repositoryPath("test/fixtures/evaluate-data/images.parquet")], format: "parquet" });
}

function digestOf(inputs: ExampleInputs): string {
  const hash = createHash("sha256");
  inputs.addTo(hash);
  return hash.digest("hex");
}

test.each(["image", "{{ image.bytes }}"])("images in a column of Parquet are those of the files: %s", async (image) => {
  const inside = await inputsOf(image, (await rowsOfParquet()).slice(0, 3));
  const files = await inputsOf(
    "file",
    names.map((file) => ({ fields: { file }, place: file })),
  );
  expect(await inside.load([0, 1, 2])).toEqual(await files.load([0, 1, 2]));
  expect(digestOf(inside)).toBe(digestOf(files));
});

test("an image may lie beside its table, which has its path then", async () => {
  const fields = { image: { bytes: null, path: "gray.jpg" } };
  const beside = await inputsOf("image", [{ fields, place: "x.parquet, row 1" }]);
  const inside = await inputsOf("image", (await rowsOfParquet()).slice(1, 2));
  expect(await beside.load([0])).toEqual(await inside.load([0]));
});

test("an image of a row that cannot be read is an error with the row's place", async () => {
  const inputs = await inputsOf("image", await rowsOfParquet());
  const reading = inputs.load([3]);
  await expect(reading).rejects.toMatchObject({ code: "checkpoint_malformed" });
  await expect(reading).rejects.toThrow(
    /^Cannot read the image in .*images\.parquet, row 4: it is not a PNG, JPEG or WebP$/,
  );
  await expect(inputsOf("label", await rowsOfParquet())).rejects.toThrow(
    /images\.parquet, row 1 {2}What tasks\.yaml:4:9 asks for must be an image: .*, found the number 0$/,
  );
});
