import { activationNames } from "../blocks/activation.js";
import { maxDistanceLimit } from "../blocks/relative-bias.js";
import { type ConfigReader, maxLayers } from "../config.js";

/** A T5 model's sizes, by the words of its paper (Raffel et al., 2020). */
export interface T5Sizes {
  readonly vocabulary: number;
  readonly width: number;
  readonly encoderLayers: number;
  readonly decoderLayers: number;
  readonly heads: number;
  /** Of a head; heads together may be wider than the model. */
  readonly headWidth: number;
  readonly inner: number;
  readonly activation: string;
  /** Whether the feed-forward layers are gated (Shazeer, 2020), as of T5 1.1. */
  readonly isGated: boolean;
  /** Of RMSNorm. */
  readonly epsilon: number;
  /** Of the relative bias of self-attention. */
  readonly buckets: number;
  readonly maxDistance: number;
  readonly decoderStart: number;
}

/** `feedForward` is what a missing `feed_forward_proj` means. */
export function readT5(config: ConfigReader, feedForward: string): T5Sizes {
  const encoderLayers = config.size("num_layers", undefined, maxLayers);
  return {
    vocabulary: config.size("vocab_size"),
    width: config.size("d_model"),
    encoderLayers,
    decoderLayers: config.size("num_decoder_layers", encoderLayers, maxLayers),
    heads: config.size("num_heads"),
    headWidth: config.size("d_kv"),
    inner: config.size("d_ff"),
    ...readFeedForward(config, feedForward),
    epsilon: config.number("layer_norm_epsilon", 1e-6),
    ...readBuckets(config),
    decoderStart: config.count("decoder_start_token_id", config.count("pad_token_id", 0)),
  };
}

/** `relu`, or `gated-gelu`, whose GELU is the approximation by tanh. */
function readFeedForward(config: ConfigReader, byDefault: string): Pick<T5Sizes, "activation" | "isGated"> {
  const allowed = activationNames.flatMap((name) => [name, `gated-${name}`]);
  const word = config.word("feed_forward_proj", byDefault, allowed);
  if (word === "gated-gelu") return { activation: "gelu_new", isGated: true };
  const isGated = word.startsWith("gated-");
  return { activation: isGated ? word.slice("gated-".length) : word, isGated };
}

function readBuckets(config: ConfigReader): Pick<T5Sizes, "buckets" | "maxDistance"> {
  const [bucketsKey, distanceKey] = ["relative_attention_num_buckets", "relative_attention_max_distance"];
  const buckets = config.size(bucketsKey, 32);
  const maxDistance = config.size(distanceKey, 128, maxDistanceLimit);
  // A direction has half of the encoder's buckets, and half of those hold one distance each: at least one must.
  if (buckets < 4) throw config.fail(bucketsKey, "below the 4 that two directions need");
  if (maxDistance <= buckets / 2) throw config.fail(distanceKey, `not above half of the ${buckets} buckets`);
  return { buckets, maxDistance };
}
