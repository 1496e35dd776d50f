import { ConfigReader } from "../../graphs/config.js";
import type { Channels } from "./colour.js";
import { type Filter, filtersByNumber } from "./filters.js";
import { maxModelSide } from "./limits.js";
import { type Defaults, processorOf, square } from "./processors.js";

/** What preprocessor_config.json says is to be done with an image, in this order. */
export interface Processing {
  readonly channels: Channels;
  /** To a size, or so that the shortest edge has one and the other follows; undefined: not at all. */
  readonly resize: Size | { readonly shortestEdge: number } | undefined;
  readonly filter: Filter;
  /** Cut out of the middle; undefined: nothing is cut. */
  readonly crop: Size | undefined;
  /** Of what comes out. */
  readonly size: Size;
  /** Then a level of 0 to 255 of channel c becomes scale[c] · level + shift[c]. */
  readonly scale: readonly number[];
  readonly shift: readonly number[];
}

export interface Size {
  readonly height: number;
  readonly width: number;
}

/**
 * Reads a parsed preprocessor_config.json. Throws `checkpoint_mismatch`, which names file, key and value, for what would
 * change pixels and is not done here. `modelType`: config.json's, for a file that names no processor.
 */
export function readProcessing(json: unknown, file: string, modelType?: string): Processing {
  const byDefault = processorOf(new ConfigReader(json, file), modelType);
  if (byDefault === undefined) throw new RangeError("A known processor has no defaults");
  const config = new ConfigReader(withSizes(json, byDefault), file);
  if (config.flag("do_pad", false)) throw config.fail("do_pad", "which is not supported");

  const wanted = readSize(config);
  const resizes = config.flag("do_resize", true);
  const crop = config.flag("do_center_crop", byDefault.crop !== undefined)
    ? readSquare(config, "crop_size")
    : undefined;
  const size = crop ?? ("shortestEdge" in wanted ? undefined : wanted);
  if (size === undefined) {
    throw config.fail(
      "size",
      `after which images have different sizes: without "do_center_crop", it needs height and width`,
    );
  }
  const normalization = readNormalization(config, byDefault);
  return {
    ...normalization,
    channels: normalization.scale.length === 1 ? 1 : 3,
    resize: resizes ? wanted : undefined,
    filter: readFilter(config, byDefault.resample),
    crop,
    size,
  };
}

/** Files of older versions have one number for a size. It is the shortest edge where the default is one, else a square. */
function withSizes(json: unknown, byDefault: Defaults): unknown {
  const { size, crop_size: crop, ...rest } = json as Readonly<Record<string, unknown>>;
  const fromNumber = (side: number) => ("shortest_edge" in byDefault.size ? { shortest_edge: side } : square(side));
  const cropDefault = byDefault.crop === undefined ? undefined : square(byDefault.crop);
  return {
    ...rest,
    size: typeof size === "number" ? fromNumber(size) : (size ?? byDefault.size),
    crop_size: typeof crop === "number" ? square(crop) : (crop ?? cropDefault),
  };
}

function readSize(config: ConfigReader): Size | { readonly shortestEdge: number } {
  const section = config.section("size");
  const hasEdge = section?.has("shortest_edge") === true && !section.has("longest_edge");
  return section !== undefined && hasEdge
    ? { shortestEdge: readSide(section, "shortest_edge") }
    : readSquare(config, "size");
}

function readSquare(config: ConfigReader, key: string): Size {
  const section = config.section(key);
  if (section === undefined || !section.has("height") || !section.has("width")) {
    throw config.fail(key, "expected height and width");
  }
  return { height: readSide(section, "height"), width: readSide(section, "width") };
}

function readSide(section: ConfigReader, key: string): number {
  const side = section.size(key);
  if (side > maxModelSide) throw section.fail(key, `but at most ${maxModelSide} pixels are supported`);
  return side;
}

function readFilter(config: ConfigReader, byDefault: number): Filter {
  const filter = filtersByNumber[config.count("resample", byDefault)];
  if (filter !== undefined) return filter;
  const known = Object.entries(filtersByNumber).map(([number, name]) => `${number} (${name})`);
  throw config.fail("resample", `which is not supported, only ${known.join(", ")} are`);
}

/** ((level · rescale) − mean) / std, each part where it is asked for, as one product and one sum. */
function readNormalization(config: ConfigReader, byDefault: Defaults): Pick<Processing, "scale" | "shift"> {
  const rescale = config.flag("do_rescale", true) ? config.number("rescale_factor", 1 / 255) : 1;
  if (!config.flag("do_normalize", true)) return { scale: [rescale, rescale, rescale], shift: [0, 0, 0] };
  const mean = config.has("image_mean") ? config.numbers("image_mean") : byDefault.mean;
  const std = config.has("image_std") ? config.numbers("image_std") : byDefault.std;
  if (mean.length !== 1 && mean.length !== 3)
    throw config.fail("image_mean", "expected 1 or 3 numbers, one per channel");
  // transformers spreads one number over all channels.
  const stds = std.length === 1 ? mean.map(() => std[0] ?? 0) : std;
  if (stds.length !== mean.length)
    throw config.fail("image_std", `expected ${mean.length} numbers, as "image_mean" has`);
  if (stds.some((value) => value <= 0)) throw config.fail("image_std", "expected numbers above 0");
  return {
    scale: stds.map((value) => rescale / value),
    shift: stds.map((value, c) => -(mean[c] ?? 0) / value),
  };
}
