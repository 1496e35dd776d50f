import type { ConfigReader } from "../../graphs/config.js";

/** What one of transformers' processors does where a file leaves it out. */
export interface Defaults {
  readonly resample: number;
  readonly size: Readonly<Record<string, number>>;
  readonly crop: number | undefined;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const half = [0.5, 0.5, 0.5];
export const square = (side: number) => ({ height: side, width: side });

const defaults: Readonly<Record<string, Defaults>> = {
  ViT: { resample: 2, size: square(224), crop: undefined, mean: half, std: half },
  DeiT: { resample: 3, size: square(256), crop: 224, mean: half, std: half },
  CLIP: {
    resample: 3,
    size: { shortest_edge: 224 },
    crop: 224,
    mean: [0.48145466, 0.4578275, 0.40821073],
    std: [0.26862954, 0.26130258, 0.27577711],
  },
  Siglip: { resample: 3, size: square(224), crop: undefined, mean: half, std: half },
};

/** By age: as it is called now, what computes on tensors instead of with Pillow, and the first name. */
const suffixes = ["ImageProcessor", "ImageProcessorFast", "FeatureExtractor"];
const types = Object.keys(defaults).flatMap((family) => suffixes.map((suffix) => family + suffix));

/** The processor that a preprocessor_config.json is for; the first published ones do not say, and follow config.json. */
export function processorOf(config: ConfigReader, modelType: string | undefined): Defaults | undefined {
  const key = ["image_processor_type", "feature_extractor_type"].find((name) => config.has(name));
  const ofModel = key === undefined ? modelType?.split("_", 1)[0] : undefined;
  const named = Object.keys(defaults).find((family) => family.toLowerCase() === ofModel);
  if (named !== undefined) return defaults[named];
  const type = config.word(key ?? "image_processor_type", undefined, types);
  return defaults[type.replace(/(ImageProcessor(Fast)?|FeatureExtractor)$/, "")];
}
