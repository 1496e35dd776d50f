import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { decoderFamilies } from "./decoder/families.js";
import { encoderFamilies } from "./encoder/families.js";
import { t5Families } from "./t5/families.js";
import { withTaps } from "./taps.js";
import type { GraphFamily, GraphRequest, ModelGraphs } from "./types.js";
import { visionFamilies } from "./vision/families.js";

/** The families of models that graphs are built for, by `model_type` in config.json. */
export const families: Readonly<Record<string, GraphFamily>> = {
  ...decoderFamilies,
  ...encoderFamilies,
  ...t5Families,
  ...visionFamilies,
};

/**
 * Graphs for a checkpoint, as its config.json describes it. Fails with `checkpoint_mismatch` for a family that is not
 * known and a config that the family cannot follow.
 */
export function buildGraphs(request: GraphRequest): ModelGraphs {
  const { config, configFile } = request;
  const type = typeOf(config);
  const family = type === undefined || !Object.hasOwn(families, type) ? undefined : families[type];
  if (family !== undefined) return request.taps === true ? withTaps(family(request)) : family(request);
  const problem =
    config === undefined
      ? "it is not there, so this is no model; of an adapter, merge it into its base first"
      : type === undefined
        ? 'it has no "model_type"'
        : `its "model_type" is ${quote(type)}, which Amalgam has no graph for`;
  const message =
    `Cannot build a graph from ${quote(configFile)}: ${problem}. It has graphs for ` +
    `${Object.keys(families).toSorted().join(", ")}; for others give an ONNX export with --graph`;
  throw new AmalgamError("checkpoint_mismatch", message, { details: { file: configFile } });
}

function typeOf(config: unknown): string | undefined {
  if (typeof config !== "object" || config === null || !("model_type" in config)) return undefined;
  return typeof config.model_type === "string" ? config.model_type : undefined;
}
