import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readProcessing } from "../../../../../coordinator/evaluate/images/processing.js";
import { ImageProcessor, readProcessor } from "../../../../../coordinator/evaluate/images/processor.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { repositoryPath } from "../../../../support/repository.js";

const image = repositoryPath("test/conformance/graphs/images/colour.png");
const vit = { image_processor_type: "ViTImageProcessor" };
const clip = { image_processor_type: "CLIPImageProcessor" };

test.each([
  { json: { image_processor_type: "VitImageProcesor" }, problem: 'did you mean "ViTImageProcessor"?' },
  { json: {}, problem: '"image_processor_type" is missing, expected a text' },
  { json: [], problem: "it is not an object" },
  { json: { ...vit, resample: 5 }, problem: '"resample" is 5, which is not supported, only 0 (nearest), 1 (lanczos)' },
  { json: { ...vit, do_pad: true }, problem: '"do_pad" is true, which is not supported' },
  { json: { ...vit, do_resize: "yes" }, problem: '"do_resize" is "yes", expected true or false' },
  { json: { ...vit, size: { height: 9 } }, problem: '"size" is {"height":9}, expected height and width' },
  { json: { ...vit, size: { height: 9, width: 5000 } }, problem: '"size.width" is 5000, but at most 4096 pixels' },
  {
    json: { ...clip, do_center_crop: false },
    problem: '"size" is {"shortest_edge":224}, after which images have diff',
  },
  {
    json: { ...clip, crop_size: { shortest_edge: 3 } },
    problem: '"crop_size" is {"shortest_edge":3}, expected height',
  },
  { json: { ...clip, size: { shortest_edge: 3, longest_edge: 9 } }, problem: '"size" is {"shortest_edge":3,"longest_' },
  { json: { ...vit, image_mean: [1, 2] }, problem: '"image_mean" is [1,2], expected 1 or 3 numbers' },
  { json: { ...vit, image_std: [1, 2] }, problem: '"image_std" is [1,2], expected 3 numbers' },
  { json: { ...vit, image_std: [1, 0, 1] }, problem: '"image_std" is [1,0,1], expected numbers above 0' },
])("$json is refused", ({ json, problem }) => {
  expect(() => readProcessing(json, "preprocessor_config.json")).toThrow(problem);
  expect(() => readProcessing(json, "preprocessor_config.json")).toThrow('"preprocessor_config.json"');
});

test("names of all ages mean the same processor", () => {
  const read = (type: string) => readProcessing({ feature_extractor_type: type }, "file");
  expect(read("CLIPFeatureExtractor")).toEqual(readProcessing(clip, "file"));
  expect(read("CLIPImageProcessorFast")).toEqual(readProcessing(clip, "file"));
  expect(readProcessing(clip, "file")).toMatchObject({
    filter: "bicubic",
    resize: { shortestEdge: 224 },
    crop: { height: 224, width: 224 },
  });
});

test("a file that names no processor follows the model", async () => {
  await using folder = await withTempDir();
  await writeFile(join(folder.path, "preprocessor_config.json"), JSON.stringify({ size: 9, crop_size: 7 }));
  await expect(readProcessor(folder.path)).rejects.toThrow('"image_processor_type" is missing');
  await writeFile(join(folder.path, "config.json"), JSON.stringify({ model_type: "clip_vision_model" }));
  expect(await readProcessor(folder.path)).toMatchObject({ width: 7, processing: { resize: { shortestEdge: 9 } } });
  await writeFile(join(folder.path, "config.json"), JSON.stringify({ model_type: "vit" }));
  expect(await readProcessor(folder.path)).toMatchObject({ width: 9, processing: { filter: "bilinear" } });
});

test("a processor may be part of processor_config.json", async () => {
  await using folder = await withTempDir();
  await expect(readProcessor(folder.path)).rejects.toThrow('it has no "preprocessor_config.json"');
  const shared = { processor_class: "CLIPProcessor", image_processor: { ...clip, crop_size: 8, size: 10 } };
  await writeFile(join(folder.path, "processor_config.json"), JSON.stringify(shared));
  expect(await readProcessor(folder.path)).toMatchObject({ channels: 3, height: 8, width: 8 });
  await writeFile(join(folder.path, "preprocessor_config.json"), "{");
  await expect(readProcessor(folder.path)).rejects.toMatchObject({ code: "checkpoint_malformed" });
});

test("images that are not resized must have the model's size", async () => {
  const json = { ...vit, do_resize: false, size: { height: 8, width: 8 } };
  const processor = new ImageProcessor(readProcessing(json, "file"), "file");
  await expect(processor.load(image)).rejects.toThrow(
    `Cannot use image ${JSON.stringify(image)}: it has 23 × 31 pixels, the model takes 8 × 8 and its processor does not resize`,
  );
});

test("a model that takes other images is named", () => {
  const processor = new ImageProcessor(readProcessing(vit, "p.json"), "p.json");
  expect(() => processor.assertFits({ channels: 3, height: 224, width: 224 })).not.toThrow();
  expect(() => processor.assertFits({ channels: 1, height: 224, width: 384 })).toThrow(
    'Cannot use image processor "p.json": it makes images of 3 × 224 × 224 (channels, height, width), the model takes 1 × 224 × 384',
  );
});
