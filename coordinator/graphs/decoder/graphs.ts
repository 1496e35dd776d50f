import { AmalgamError } from "../../../shared/errors.js";
import { type BuiltGraph, GraphBuilder, type Value } from "../../../shared/onnx/graph-builder.js";
import { quote } from "../../../shared/quote.js";
import { buildHead } from "../blocks/head.js";
import { linear } from "../blocks/linear.js";
import { pool, tokenState } from "../blocks/pooling.js";
import { ConfigReader, readLabels } from "../config.js";
import type { GraphFamily, GraphRequest, ModelGraphs } from "../types.js";
import type { Decoder } from "./decoder.js";
import { type DecoderInputs, decode } from "./transformer.js";

/** A family of decoders: what its config.json says, as data. Throws `checkpoint_mismatch` for what it cannot follow. */
export type ReadDecoder = (config: ConfigReader) => Decoder;

type Output = NonNullable<GraphRequest["output"]>;

/** The graphs of a family of decoders. A config that has its language model's part in `text_config` is read there. */
export function decoderFamily(read: ReadDecoder): GraphFamily {
  return (request) => {
    const whole = new ConfigReader(request.config, request.configFile);
    const config = whole.section("text_config") ?? whole;
    const decoder = read(config);
    const prefix = prefixOf(request);
    const output = request.output ?? outputOf(whole);
    const shared = { family: decoder.family, maxTokens: decoder.maxTokens, vocabulary: decoder.vocabulary };
    const body = buildBody(decoder, prefix, output, request);
    if (output === "vectors") return { ...shared, kind: "encoder", graphs: { body } };
    if (output === "logits") return { ...shared, kind: "classifier", graphs: { body }, labels: readLabels(whole) };
    const head = headOf(decoder, prefix, request, whole);
    if (head === undefined) return { ...shared, kind: "encoder", graphs: { body } };
    return { ...shared, kind: "decoder", ...generating(decoder, prefix, request, { body, head }) };
  };
}

/** Classifiers are told by their architecture's name, as `LlamaForSequenceClassification`. */
function outputOf(config: ConfigReader): Output {
  return architecturesOf(config).some((name) => name.endsWith("ForSequenceClassification")) ? "logits" : "hidden";
}

function architecturesOf(config: ConfigReader): readonly string[] {
  return config.has("architectures") ? config.words("architectures") : [];
}

/** What stands before the names of a decoder's tensors: alone, with a head, or as a part of a model for images too. */
const prefixes = ["model.", "", "language_model.model.", "model.language_model."];

function prefixOf({ tensors, configFile }: GraphRequest): string {
  const prefix = prefixes.find((prefix) => tensors.has(`${prefix}embed_tokens.weight`));
  if (prefix !== undefined) return prefix;
  const names = prefixes.map((prefix) => quote(`${prefix}embed_tokens.weight`)).join(", ");
  const message = `Cannot build a graph from ${quote(configFile)}: the checkpoint has no embedding, that is, none of ${names}`;
  throw new AmalgamError("checkpoint_mismatch", message, { details: { file: configFile } });
}

function inputsOf(g: GraphBuilder, { provider }: GraphRequest): DecoderInputs {
  const ids = g.input("input_ids", "INT64", ["batch", "time"]);
  return { ids, mask: g.input("attention_mask", "INT64", ["batch", "total"]), isFused: provider === "cpu" };
}

function buildBody(decoder: Decoder, prefix: string, output: Output, request: GraphRequest): BuiltGraph {
  const g = new GraphBuilder("body");
  const inputs = inputsOf(g, request);
  const { hidden } = decode(g, decoder, prefix, inputs);
  switch (output) {
    case "hidden":
      g.output("hidden", hidden, "FLOAT", ["batch", "time", decoder.width]);
      break;
    case "vectors":
      g.output("vectors", pooled(g, hidden, inputs.mask, request), "FLOAT", ["batch", decoder.width]);
      break;
    case "logits": {
      const classes = request.tensors.get("score.weight")?.shape[0] ?? 2;
      const last = tokenState(g, hidden, inputs.mask, "last");
      const logits = linear(g, last, { name: "score", in: decoder.width, out: classes });
      g.output("logits", logits, "FLOAT", ["batch", classes]);
    }
  }
  return g.build();
}

/** A decoder's last token has seen all others, so that it stands for the text where nothing else is asked for. */
function pooled(g: GraphBuilder, hidden: Value, mask: Value, { pooling, configFile }: GraphRequest): Value {
  const chosen = pooling ?? { mode: "last", normalize: false };
  if (chosen.mode !== "pooler") return pool(g, hidden, mask, chosen);
  const message = `Cannot build a graph from ${quote(configFile)}: a decoder has no pooler; pool by "mean", "cls" or "last"`;
  throw new AmalgamError("checkpoint_mismatch", message, { details: { file: configFile } });
}

/** Undefined where the checkpoint is a decoder without a head, which can embed and not predict. */
function headOf(
  decoder: Decoder,
  prefix: string,
  { tensors }: GraphRequest,
  config: ConfigReader,
): BuiltGraph | undefined {
  const { vocabulary, width, tied, logitSoftcap: softcap = 0 } = decoder;
  const own = ["lm_head.weight", "language_model.lm_head.weight"].find((name) => tensors.has(name));
  const weight = tied ? `${prefix}embed_tokens.weight` : own;
  if (weight !== undefined) return buildHead({ weight, vocabulary, width, softcap });
  if (!architecturesOf(config).some((name) => name.endsWith("ForCausalLM"))) return undefined;
  throw config.fail(
    "architectures",
    'but the checkpoint has no "lm_head.weight", and "tie_word_embeddings" is not true',
  );
}

function generating(decoder: Decoder, prefix: string, request: GraphRequest, graphs: ModelGraphs["graphs"]) {
  if (request.generates !== true) return { graphs };
  const { keyHeads, headWidth } = decoder.attention;
  const cache = decoder.layers.flatMap(() => [
    { heads: keyHeads, width: headWidth },
    { heads: keyHeads, width: headWidth },
  ]);
  return { graphs: { ...graphs, step: buildStep(decoder, prefix, request) }, cache };
}

/** Caches are numbered by layer: keys at 2 · layer, values after them. */
function buildStep(decoder: Decoder, prefix: string, request: GraphRequest): BuiltGraph {
  const g = new GraphBuilder("step");
  const inputs = inputsOf(g, request);
  const { keyHeads, headWidth } = decoder.attention;
  const slot = (i: number) => g.input(`past/${i}`, "FLOAT", ["batch", keyHeads, "past", headWidth]);
  const past = decoder.layers.map((_, layer) => ({ keys: slot(2 * layer), values: slot(2 * layer + 1) }));
  const { hidden, present } = decode(g, decoder, prefix, { ...inputs, past });
  g.output("hidden", hidden, "FLOAT", ["batch", "time", decoder.width]);
  for (const [i, value] of present.flatMap(({ keys, values }) => [keys, values]).entries()) {
    g.output(`present/${i}`, value, "FLOAT", ["batch", keyHeads, "total", headWidth]);
  }
  return g.build();
}
