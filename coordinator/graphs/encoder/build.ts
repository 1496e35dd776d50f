import { GraphBuilder, type Value } from "../../../shared/onnx/graph-builder.js";
import { activate } from "../blocks/activation.js";
import { linear } from "../blocks/linear.js";
import { pool, tokenState } from "../blocks/pooling.js";
import { ConfigReader, readLabels } from "../config.js";
import type { GraphRequest, ModelGraphs } from "../types.js";
import type { ClassifierNames, EncoderFamily, EncoderSizes } from "./family.js";
import { EncoderModel, type TextInputs } from "./model.js";
import { EncoderTensors } from "./tensors.js";

/**
 * The graphs of a BERT-like encoder: `body` alone. It ends in `logits` where config.json's `architectures` names a
 * classifier, in `vectors` where a pooling is asked for, else in `hidden`; vectors without a pooling are the mean over
 * tokens. Padding may be on either side. Throws `checkpoint_mismatch`.
 */
export function buildEncoder(request: GraphRequest, name: string, family: EncoderFamily): ModelGraphs {
  const config = new ConfigReader(request.config, request.configFile);
  const sizes = family.sizes(config);
  const tensors = new EncoderTensors(request, family.prefix);
  const output = request.output ?? defaultOutput(request, config);

  const g = new GraphBuilder(name);
  const inputs = textInputs(g, family);
  const hidden = new EncoderModel(g, family, sizes, tensors).hidden(inputs);
  if (output === "hidden") {
    g.output("hidden", hidden, "FLOAT", ["batch", "time", sizes.width]);
  } else if (output === "vectors") {
    const pooling = request.pooling ?? { mode: "mean", normalize: false };
    const pooler = poolerOf(g, family, sizes, tensors);
    if (pooling.mode === "pooler" && pooler === undefined) {
      throw config.fail("model_type", 'of which the checkpoint has no pooler: choose pooling "mean", "cls" or "last"');
    }
    g.output("vectors", pool(g, hidden, inputs.mask, pooling, pooler), "FLOAT", ["batch", sizes.width]);
  } else {
    const classes = tensors.outputsOf(family.classifier.last, "which would make the logits");
    const first = tokenState(g, hidden, inputs.mask, "first");
    const logits = classify(g, first, { names: family.classifier, width: sizes.width, classes }, tensors.prefix);
    g.output("logits", logits, "FLOAT", ["batch", classes]);
  }
  return {
    family: name,
    kind: output === "logits" ? "classifier" : "encoder",
    graphs: { body: g.build() },
    maxTokens: sizes.positions - sizes.firstPosition,
    vocabulary: sizes.vocabulary,
    labels: output === "logits" ? readLabels(config) : undefined,
  };
}

function defaultOutput(request: GraphRequest, config: ConfigReader): "hidden" | "logits" | "vectors" {
  const architectures = config.has("architectures") ? config.words("architectures") : [];
  if (architectures.some((architecture) => architecture.endsWith("ForSequenceClassification"))) return "logits";
  return request.pooling === undefined ? "hidden" : "vectors";
}

function textInputs(g: GraphBuilder, family: EncoderFamily): TextInputs {
  const shape = ["batch", "time"];
  const ids = g.input("input_ids", "INT64", shape);
  const mask = g.input("attention_mask", "INT64", shape);
  const types = family.tokenTypes === "input" ? g.input("token_type_ids", "INT64", shape) : undefined;
  return { ids, mask, types };
}

/** The model's own layer on the hidden states of first tokens, [batch, width] to the same; undefined without one. */
function poolerOf(
  g: GraphBuilder,
  { pooler }: EncoderFamily,
  { width }: EncoderSizes,
  tensors: EncoderTensors,
): ((first: Value) => Value) | undefined {
  const name = `${tensors.prefix}${pooler}`;
  if (pooler === undefined || !tensors.has(name)) return undefined;
  return (first) => activate(g, linear(g, first, { name, in: width, out: width, bias: true }), "tanh");
}

/** The hidden states of first tokens, [batch, width], to [batch, classes]. */
function classify(
  g: GraphBuilder,
  firstToken: Value,
  { names, width, classes }: { readonly names: ClassifierNames; readonly width: number; readonly classes: number },
  prefix: string,
): Value {
  const { first, last } = names;
  const name = first.isPooler === true ? prefix + first.name : first.name;
  const inner = activate(g, linear(g, firstToken, { name, in: width, out: width, bias: true }), first.activation);
  return linear(g, inner, { name: last, in: width, out: classes, bias: true });
}
