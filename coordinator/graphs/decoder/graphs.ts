import { AmalgamError } from "../../../shared/errors.js";
import { type BuiltGraph, GraphBuilder, type Value } from "../../../shared/onnx/graph-builder.js";
import { quote } from "../../../shared/quote.js";
import { buildHead } from "../blocks/head.js";
import { linear } from "../blocks/linear.js";
import { pool, tokenState } from "../blocks/pooling.js";
import { ConfigReader, readLabels } from "../config.js";
import type { GraphFamily, GraphRequest, ModelGraphs } from "../types.js";
import type { Decoder } from "./decoder.js";
import type { LanguageModel } from "./language-model.js";
import { assertCausal } from "./read.js";
import { type DecoderInputs, decode, layerInputs } from "./transformer.js";

/** What a family's config.json says. Throws `checkpoint_mismatch` for what it cannot follow. */
export type ReadModel<Model> = (config: ConfigReader) => Model;

type Output = NonNullable<GraphRequest["output"]>;

/** The graphs of a family of decoders of the Llama kind. */
export function decoderFamily(read: ReadModel<Decoder>): GraphFamily {
  return languageModelFamily((config) => {
    const decoder = read(config);
    const names = { embedding: "embed_tokens.weight", prefixes: llamaPrefixes };
    return {
      ...{ ...decoder, names },
      decode: (g, prefix, inputs) => decode(g, decoder, prefix, inputs),
      layerInputs: (g, prefix, inputs) => layerInputs(g, decoder, prefix, inputs),
    };
  });
}

/** What stands before the names of a decoder's tensors: alone, with a head, or as a part of a model for images too. */
const llamaPrefixes = ["model.", "", "language_model.model.", "model.language_model."];

/** The graphs of a family. A config that has its language model's part in `text_config` is read there. */
export function languageModelFamily(read: ReadModel<LanguageModel>): GraphFamily {
  return (request) => {
    const whole = new ConfigReader(request.config, request.configFile);
    const config = whole.section("text_config") ?? whole;
    assertCausal(config);
    const model = read(config);
    const prefix = prefixOf(model, request);
    const output = request.output ?? outputOf(whole);
    const shared = { family: model.family, maxTokens: model.maxTokens, vocabulary: model.vocabulary };
    const body = buildBody(model, prefix, output, request);
    if (output === "vectors" || output === "layers") return { ...shared, kind: "encoder", graphs: { body } };
    if (output === "logits") return { ...shared, kind: "classifier", graphs: { body }, labels: readLabels(whole) };
    const head = headOf(model, prefix, request, whole);
    if (head === undefined) return { ...shared, kind: "encoder", graphs: { body } };
    return { ...shared, kind: "decoder", ...generating(model, prefix, request, { body, head }) };
  };
}

/** Classifiers are told by their architecture's name, as `LlamaForSequenceClassification`. */
function outputOf(config: ConfigReader): Output {
  return architecturesOf(config).some((name) => name.endsWith("ForSequenceClassification")) ? "logits" : "hidden";
}

function architecturesOf(config: ConfigReader): readonly string[] {
  return config.has("architectures") ? config.words("architectures") : [];
}

function prefixOf({ names: { embedding, prefixes } }: LanguageModel, { tensors, configFile }: GraphRequest): string {
  const prefix = prefixes.find((prefix) => tensors.has(prefix + embedding));
  if (prefix !== undefined) return prefix;
  const names = prefixes.map((prefix) => quote(prefix + embedding)).join(", ");
  const message = `Cannot build a graph from ${quote(configFile)}: the checkpoint has no embedding, that is, none of ${names}`;
  throw new AmalgamError("checkpoint_mismatch", message, { details: { file: configFile } });
}

function inputsOf(g: GraphBuilder, { provider }: GraphRequest): DecoderInputs {
  const ids = g.input("input_ids", "INT64", ["batch", "time"]);
  return { ids, mask: g.input("attention_mask", "INT64", ["batch", "total"]), isFused: provider === "cpu" };
}

function buildBody(model: LanguageModel, prefix: string, output: Output, request: GraphRequest): BuiltGraph {
  const g = new GraphBuilder("body");
  const inputs = inputsOf(g, request);
  if (output === "layers") return layersBody(g, model, prefix, inputs, request);
  const { hidden } = model.decode(g, prefix, inputs);
  switch (output) {
    case "hidden":
      g.output("hidden", hidden, "FLOAT", ["batch", "time", model.width]);
      break;
    case "vectors":
      g.output("vectors", pooled(g, hidden, inputs.mask, request), "FLOAT", ["batch", model.width]);
      break;
    case "logits": {
      const classes = request.tensors.get("score.weight")?.shape[0] ?? 2;
      const last = tokenState(g, hidden, classifiable(g, inputs, request), "last");
      const logits = linear(g, last, { name: "score", in: model.width, out: classes });
      g.output("logits", logits, "FLOAT", ["batch", classes]);
    }
  }
  return g.build();
}

/** Ends in one row for each example: what each layer is given, pooled over the example's tokens. */
function layersBody(
  g: GraphBuilder,
  model: LanguageModel,
  prefix: string,
  inputs: DecoderInputs,
  request: GraphRequest,
): BuiltGraph {
  const states = model.layerInputs?.(g, prefix, inputs);
  if (states === undefined) {
    const problem = `a model of type ${quote(model.family)} does not show what its layers are given`;
    const { configFile: file } = request;
    const message = `Cannot build a graph from ${quote(file)}: ${problem}`;
    throw new AmalgamError("checkpoint_mismatch", message, { details: { file } });
  }
  const axis = g.constant("INT64", [1]);
  const rows = states.map((state) => g.op("Unsqueeze", [pooled(g, state, inputs.mask, request), axis]));
  g.output("layers", g.op("Concat", rows, { axis: 1 }), "FLOAT", ["batch", states.length, model.width]);
  return g.build();
}

/**
 * 1 at tokens that may stand for their text, [batch, time]. As models were trained in transformers, that is the last one
 * that is not `pad_token_id`: an end of text that is padding too does not count.
 */
function classifiable(g: GraphBuilder, { ids, mask }: DecoderInputs, { config, configFile }: GraphRequest): Value {
  const whole = new ConfigReader(config, configFile);
  const text = whole.section("text_config") ?? whole;
  if (!text.has("pad_token_id")) return mask;
  const padding = text.number("pad_token_id");
  if (!Number.isSafeInteger(padding)) throw text.fail("pad_token_id", "expected a whole number");
  const isPadding = g.op("Equal", [ids, g.constant("INT64", padding)]);
  return g.op("Where", [isPadding, g.constant("INT64", 0), mask]);
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
  model: LanguageModel,
  prefix: string,
  { tensors }: GraphRequest,
  config: ConfigReader,
): BuiltGraph | undefined {
  const { vocabulary, width, tied, logitSoftcap: softcap = 0 } = model;
  const own = ["lm_head.weight", "language_model.lm_head.weight"].find((name) => tensors.has(name));
  // Where a head is stored that is not the embedding, transformers does not tie them either, whatever the config says.
  const weight = own ?? (tied ? prefix + model.names.embedding : undefined);
  if (weight !== undefined) return buildHead({ weight, vocabulary, width, softcap });
  if (!architecturesOf(config).some((name) => name.endsWith("ForCausalLM"))) return undefined;
  throw config.fail(
    "architectures",
    'but the checkpoint has no "lm_head.weight", and "tie_word_embeddings" is not true',
  );
}

function generating(model: LanguageModel, prefix: string, request: GraphRequest, graphs: ModelGraphs["graphs"]) {
  if (request.generates !== true) return { graphs };
  const { keyHeads, headWidth } = model.attention;
  const cache = model.layers.flatMap(() => [
    { heads: keyHeads, width: headWidth },
    { heads: keyHeads, width: headWidth },
  ]);
  return { graphs: { ...graphs, step: buildStep(model, prefix, request) }, cache };
}

/** Caches are numbered by layer: keys at 2 · layer, values after them. */
function buildStep(model: LanguageModel, prefix: string, request: GraphRequest): BuiltGraph {
  const g = new GraphBuilder("step");
  const inputs = inputsOf(g, request);
  const { keyHeads, headWidth } = model.attention;
  const slot = (i: number) => g.input(`past/${i}`, "FLOAT", ["batch", keyHeads, "past", headWidth]);
  const past = model.layers.map((_, layer) => ({ keys: slot(2 * layer), values: slot(2 * layer + 1) }));
  const { hidden, present } = model.decode(g, prefix, { ...inputs, past });
  g.output("hidden", hidden, "FLOAT", ["batch", "time", model.width]);
  for (const [i, value] of present.flatMap(({ keys, values }) => [keys, values]).entries()) {
    g.output(`present/${i}`, value, "FLOAT", ["batch", keyHeads, "total", headWidth]);
  }
  return g.build();
}
