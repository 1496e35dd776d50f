import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { formatBytes } from "../../../shared/bytes.js";
import { AmalgamError } from "../../../shared/errors.js";
import { formatCount, quote } from "../../../shared/quote.js";
import type { ModelGraphs } from "../../graphs/types.js";
import { isObject } from "../../tokenizer/json.js";
import type { InputTensor } from "../types.js";
import { type ImageFile, imageError } from "./image-file.js";
import { maxConfigBytes, maxImagePixels } from "./limits.js";
import { processPicture, resizedSize } from "./process.js";
import { type Processing, readProcessing } from "./processing.js";
import { readPicture } from "./read-picture.js";

/** Makes of image files what a model's `pixel_values` are made of. */
export class ImageProcessor {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Everything that decides the pixels besides the files, for digests. */
  readonly processing: Processing;
  readonly #file: string;

  constructor(processing: Processing, file: string) {
    this.channels = processing.channels;
    this.height = processing.size.height;
    this.width = processing.size.width;
    this.processing = processing;
    this.#file = file;
  }

  /** Throws `checkpoint_mismatch` where a model takes other images: positions are not interpolated. */
  assertFits(image: NonNullable<ModelGraphs["image"]>): void {
    const [made, wanted] = [this, image].map(({ channels, height, width }) => `${channels} × ${height} × ${width}`);
    if (made === wanted) return;
    const problem = `it makes images of ${made} (channels, height, width), the model takes ${wanted}`;
    throw new AmalgamError("checkpoint_mismatch", `Cannot use image processor ${quote(this.#file)}: ${problem}`, {
      details: { file: this.#file },
    });
  }

  /**
   * An image file's pixels, [channels, height, width], before scale and shift. Throws `checkpoint_malformed`, which names
   * the file or its row, for one that cannot be read, and where nothing is resized, for one of another size.
   */
  async load(image: ImageFile): Promise<Uint8Array> {
    const picture = await readPicture(image, this.processing.channels);
    const { resize, crop } = this.processing;
    const size = resizedSize(picture, resize);
    if (size.height * size.width > maxImagePixels) {
      const problem = `resized to ${size.height} × ${size.width}, it has more than ${formatCount(maxImagePixels)} pixels`;
      throw imageError("use", image, problem);
    }
    if (crop === undefined && (size.height !== this.height || size.width !== this.width)) {
      const problem = `it has ${size.height} × ${size.width} pixels, the model takes ${this.height} × ${this.width} and its processor does not resize`;
      throw imageError("use", image, problem);
    }
    return processPicture(picture, this.processing);
  }

  /** `pixel_values` of a batch: [images, channels, height, width]. */
  async loadBatch(images: readonly ImageFile[]): Promise<InputTensor> {
    const { channels, height, width } = this;
    const bytes = channels * height * width;
    const data = new Uint8Array(images.length * bytes);
    // One at a time: a decoded photograph is a hundred times what is kept of it.
    for (const [i, image] of images.entries()) data.set(await this.load(image), i * bytes);
    const { scale, shift } = this.processing;
    return { dtype: "U8", shape: [images.length, channels, height, width], data, scale, shift };
  }
}

/**
 * Reads a checkpoint's image processor: `preprocessor_config.json`, or the `image_processor` in `processor_config.json`,
 * where newer versions of transformers put it.
 */
export async function readProcessor(directory: string): Promise<ImageProcessor> {
  const own = join(directory, "preprocessor_config.json");
  const ownJson = await readJson(own);
  if (ownJson !== undefined) return new ImageProcessor(readProcessing(ownJson, own, await modelTypeOf(directory)), own);
  const shared = join(directory, "processor_config.json");
  const sharedJson = await readJson(shared);
  const { image_processor: section } = isObject(sharedJson) ? sharedJson : {};
  if (section !== undefined) return new ImageProcessor(readProcessing(section, shared), shared);
  const problem = `it has no "preprocessor_config.json", which says how images become pixels`;
  throw new AmalgamError("checkpoint_mismatch", `Cannot read images for ${quote(directory)}: ${problem}`, {
    details: { checkpoint: directory },
  });
}

async function modelTypeOf(directory: string): Promise<string | undefined> {
  const config = await readJson(join(directory, "config.json"));
  const { model_type: type } = isObject(config) ? config : {};
  return typeof type === "string" ? type : undefined;
}

/** A file's content; undefined where there is no file. */
async function readJson(file: string): Promise<unknown> {
  try {
    const { size } = await stat(file);
    if (size > maxConfigBytes)
      throw malformed(file, `it has ${formatBytes(size)}, more than ${formatBytes(maxConfigBytes)}`);
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) throw malformed(file, `it is not JSON: ${error.message}`, error);
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw AmalgamError.from(error);
  }
}

function malformed(file: string, problem: string, cause?: unknown): AmalgamError {
  const message = `Cannot read image processor ${quote(file)}: ${problem}`;
  return new AmalgamError("checkpoint_malformed", message, { cause, details: { file } });
}
