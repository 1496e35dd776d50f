import type { Rope, RopeFrequencies } from "../blocks/rope.js";
import type { ConfigReader } from "../config.js";

export const ropeTypes = ["default", "linear", "dynamic", "yarn", "longrope", "llama3"] as const;

export interface RopeOptions {
  readonly headWidth: number;
  /** Tokens that the config allows. */
  readonly maxTokens: number;
  /** Where config.json has another key for θ, as Gemma 3 for its local layers. @default "rope_theta" */
  readonly thetaKey?: string;
  /** θ where config.json has none. @default 10,000 */
  readonly theta?: number | undefined;
  /** The kind of layer, as `layer_types` has it, for a config that has RoPE by kinds of layers. */
  readonly layerType?: string;
  /** Whether `rope_scaling` concerns these layers. @default true */
  readonly isScaled?: boolean;
  /** Names that a family has for one of {@link ropeTypes}. */
  readonly aliases?: Readonly<Record<string, (typeof ropeTypes)[number]>>;
}

/**
 * RoPE as config.json has it: in `rope_parameters` since transformers 5, whole or by kinds of layers; before that in
 * `rope_theta`, `rope_scaling` and `partial_rotary_factor`.
 */
export function readRope(config: ConfigReader, options: RopeOptions): Rope {
  const { headWidth, maxTokens, thetaKey = "rope_theta", theta: usualTheta = 10_000, layerType } = options;
  const { isScaled = true } = options;
  const parameters = config.section("rope_parameters");
  const ofLayers = layerType === undefined ? undefined : parameters?.section(layerType);
  const scaling = isScaled ? config.section("rope_scaling") : undefined;
  const section = ofLayers ?? scaling ?? (layerType === undefined || isScaled ? parameters : undefined) ?? config;
  const inherited = (key: string, byDefault: number) =>
    section.has(key) ? section.number(key) : config.number(key, byDefault);

  const theta =
    section.has("rope_theta") && section !== config
      ? section.number("rope_theta")
      : config.number(thetaKey, usualTheta);
  const width = Math.trunc(headWidth * inherited("partial_rotary_factor", 1));
  if (theta <= 1) throw config.fail(thetaKey, "expected a number above 1");
  if (width < 2 || width > headWidth || width % 2 !== 0) {
    throw section.fail(
      "partial_rotary_factor",
      `which rotates ${width} of a head's ${headWidth} elements; that must be an even number`,
    );
  }
  const original = config.size(
    "original_max_position_embeddings",
    section.size("original_max_position_embeddings", maxTokens),
  );
  const type = typeOf(section === config ? undefined : section, options.aliases);
  return { width, ...scaledRope(type, section, { theta, width, positions: maxTokens, original }) };
}

function typeOf(section: ConfigReader | undefined, aliases: RopeOptions["aliases"] = {}): (typeof ropeTypes)[number] {
  if (section === undefined) return "default";
  const key = section.has("rope_type") ? "rope_type" : "type";
  const alias = aliases[section.word(key, "default")];
  return alias ?? section.word(key, "default", ropeTypes);
}

interface RopeSizes {
  readonly theta: number;
  readonly width: number;
  readonly positions: number;
  /** Tokens that the model was first trained on, before its context was extended. */
  readonly original: number;
}

function scaledRope(
  type: (typeof ropeTypes)[number],
  section: ConfigReader,
  sizes: RopeSizes,
): { readonly frequencies: RopeFrequencies; readonly scale: number } {
  const { theta, width, positions, original } = sizes;
  const plain = frequencies(theta, width);
  const fixed = (radians: readonly number[], scale = 1) => ({
    frequencies: { kind: "fixed", radians } as const,
    scale,
  });
  switch (type) {
    case "default":
      return fixed(plain);
    case "linear": {
      const factor = factorOf(section);
      return fixed(plain.map((radians) => Math.fround(radians / factor)));
    }
    case "dynamic":
      if (width < 4)
        throw section.fail("partial_rotary_factor", `which rotates ${width} elements; dynamic RoPE needs 4`);
      return { frequencies: { kind: "dynamic", theta, factor: factorOf(section), original: positions }, scale: 1 };
    case "yarn":
      return yarn(section, sizes);
    case "longrope":
      return longrope(section, sizes);
    case "llama3":
      return fixed(llama3(plain, section, original));
  }
}

/** θ^(−2i/width), rounded to single precision at every step, as models were trained: far positions magnify roundings. */
function frequencies(theta: number, width: number): number[] {
  return powers(theta, width).map((power) => Math.fround(1 / power));
}

function powers(theta: number, width: number): number[] {
  return Array.from({ length: width / 2 }, (_, i) => Math.fround(theta ** Math.fround((2 * i) / width)));
}

function factorOf(section: ConfigReader, byDefault?: number): number {
  const factor = section.number("factor", byDefault);
  if (factor <= 0) throw section.fail("factor", "expected a number above 0");
  return factor;
}

/** Llama 3.1: long waves are stretched by `factor`, short ones stay, and those between are interpolated. */
function llama3(plain: readonly number[], section: ConfigReader, original: number): number[] {
  const factor = factorOf(section);
  const low = section.number("low_freq_factor");
  const high = section.number("high_freq_factor");
  return plain.map((radians) => {
    const turns = (original * radians) / (2 * Math.PI);
    if (turns > high) return radians;
    if (turns < low) return Math.fround(radians / factor);
    const smooth = (turns - low) / (high - low);
    return Math.fround(((1 - smooth) * radians) / factor + smooth * radians);
  });
}

/** YaRN (Peng et al., 2023, section 3.4), with `truncate`, `mscale` and `mscale_all_dim` of later models. */
function yarn(section: ConfigReader, { theta, width, positions, original }: RopeSizes) {
  const factor = factorOf(section, positions / original);
  const [mscale, mscaleAll] = [section.number("mscale", 0), section.number("mscale_all_dim", 0)];
  const grown = (by: number) => (factor <= 1 ? 1 : 0.1 * by * Math.log(factor) + 1);
  const usual = mscale !== 0 && mscaleAll !== 0 ? grown(mscale) / grown(mscaleAll) : grown(1);
  const scale = section.number("attention_factor", usual);

  const pairWithTurns = (turns: number) => (width * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const truncate = section.flag("truncate", true);
  const first = pairWithTurns(section.number("beta_fast", 32));
  const last = pairWithTurns(section.number("beta_slow", 1));
  const low = Math.max(truncate ? Math.floor(first) : first, 0);
  const high = Math.min(truncate ? Math.ceil(last) : last, width - 1);
  const span = low === high ? 0.001 : high - low;
  const radians = powers(theta, width).map((power, i) => {
    const interpolated = Math.min(Math.max((i - low) / span, 0), 1);
    return Math.fround(interpolated / (factor * power) + (1 - interpolated) / power);
  });
  return { frequencies: { kind: "fixed", radians } as const, scale };
}

/** LongRoPE (Ding et al., 2024): a factor for each frequency, found by search, for short and for long texts. */
function longrope(section: ConfigReader, { theta, width, positions, original }: RopeSizes) {
  const divided = (key: string) => {
    const factors = section.numbers(key, width / 2);
    return powers(theta, width).map((power, i) => Math.fround(1 / Math.fround((factors[i] ?? 1) * power)));
  };
  const factor = factorOf(section, positions / original);
  const usual = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  const scale = section.number("attention_factor", usual);
  return {
    frequencies: { kind: "longrope", short: divided("short_factor"), long: divided("long_factor"), original } as const,
    scale,
  };
}
