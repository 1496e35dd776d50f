import { GraphBuilder, type Value } from "../../../shared/onnx/graph-builder.js";
import { activate, activationNames } from "../blocks/activation.js";
import { linear } from "../blocks/linear.js";
import { layerNorm } from "../blocks/norm.js";
import { normalizeVectors } from "../blocks/pooling.js";
import { ConfigReader, maxLayers, readLabels } from "../config.js";
import type { GraphFamily, GraphRequest, ModelGraphs, Pooling } from "../types.js";
import {
  assertPositionsFit,
  countPatches,
  embedPatches,
  type ImageShape,
  imageBatchSizes,
  pixelInput,
  readImageShape,
  repeatToken,
} from "./patches.js";
import { assertHeadsFit, type BlockNames, type Transformer, transformer } from "./transformer.js";

/**
 * ViT (Dosovitskiy et al., 2021): `body` of an image classifier, or of an encoder of images. Output: `logits` where
 * config.json's `architectures` names a classifier, `vectors` where a pooling is asked for, else `hidden`. Pooling by
 * `cls`, `pooler`, or `mean`, which is over the patches alone.
 */
export const vit: GraphFamily = (request) => buildVit(request, "vit", ["cls_token"]);

/**
 * DeiT (Touvron et al., 2021): a ViT with a second learned token. Where both have a classifier (`cls_classifier` and
 * `distillation_classifier`), the logits are the mean of theirs.
 */
export const deit: GraphFamily = (request) => buildVit(request, "deit", ["cls_token", "distillation_token"]);

interface Vit extends Transformer {
  /** Of the tensors' names before the classifier: `vit.`, or empty for a model without one. */
  readonly prefix: string;
  readonly image: ImageShape;
  /** The learned tokens before the patches. */
  readonly learned: readonly string[];
  readonly tokens: number;
}

function buildVit(request: GraphRequest, family: string, learned: readonly string[]): ModelGraphs {
  const config = new ConfigReader(request.config, request.configFile);
  const prefix = request.tensors.has(`${family}.embeddings.cls_token`) ? `${family}.` : "";
  const model = readVit(config, prefix, learned);
  assertPositionsFit(config, request, `${prefix}embeddings.position_embeddings`, model.tokens, model.image);

  const output = request.output ?? outputOf(config, request);
  const g = new GraphBuilder(family);
  const hidden = encode(g, model);
  if (output === "logits") {
    if (classifiersOf(request).length === 0) {
      throw config.fail("architectures", `but logits need a classifier, and the checkpoint has no "classifier.weight"`);
    }
    g.output("logits", classify(g, hidden, model, request), "FLOAT", ["batch", "classes"]);
  } else if (output === "vectors") {
    const pooling = request.pooling ?? { mode: "cls", normalize: false };
    g.output("vectors", poolImage(g, hidden, model, pooling, config), "FLOAT", ["batch", "width"]);
  } else {
    g.output("hidden", finalNorm(g, hidden, model), "FLOAT", ["batch", model.tokens, model.width]);
  }
  const { channels, size } = model.image;
  return {
    family,
    kind: output === "logits" ? "classifier" : "encoder",
    graphs: { body: g.build() },
    maxTokens: undefined,
    vocabulary: undefined,
    image: { channels, height: size, width: size },
    labels: readLabels(config),
  };
}

function outputOf(config: ConfigReader, request: GraphRequest): "logits" | "vectors" | "hidden" {
  const architectures = config.has("architectures") ? config.words("architectures") : [];
  if (architectures.some((name) => name.includes("ForImageClassification"))) return "logits";
  return request.pooling === undefined ? "hidden" : "vectors";
}

/** Defaults are those of transformers' ViTConfig. */
function readVit(config: ConfigReader, prefix: string, learned: readonly string[]): Vit {
  const image = readImageShape(config, 16);
  const [width, heads] = [config.size("hidden_size", 768), config.size("num_attention_heads", 12)];
  assertHeadsFit(config, width, heads);
  return {
    prefix,
    image,
    learned,
    tokens: learned.length + countPatches(image),
    width,
    heads,
    layers: config.size("num_hidden_layers", 12, maxLayers),
    innerWidth: config.size("intermediate_size", 3072),
    activation: config.word("hidden_act", "gelu", activationNames),
    epsilon: config.number("layer_norm_eps", 1e-12),
    qkvBias: config.flag("qkv_bias", true),
    names: (layer) => blockNames(`${prefix}encoder.layer.${layer}`),
  };
}

function blockNames(block: string): BlockNames {
  return {
    normBeforeAttention: `${block}.layernorm_before`,
    queries: `${block}.attention.attention.query`,
    keys: `${block}.attention.attention.key`,
    values: `${block}.attention.attention.value`,
    attentionOutput: `${block}.attention.output.dense`,
    normBeforeMlp: `${block}.layernorm_after`,
    up: `${block}.intermediate.dense`,
    down: `${block}.output.dense`,
  };
}

/** Pixels to the last hidden states before the last norm, [batch, tokens, width]. */
function encode(g: GraphBuilder, model: Vit): Value {
  const { prefix, image, tokens, width, learned } = model;
  const pixels = pixelInput(g, image);
  const sizes = imageBatchSizes(g, pixels, tokens);
  const patches = embedPatches(g, pixels, image, {
    name: `${prefix}embeddings.patch_embeddings.projection`,
    width,
    bias: true,
  });
  const before = learned.map((token) =>
    repeatToken(g, g.weight(`${prefix}embeddings.${token}`, [1, 1, width]), sizes, width),
  );
  const positions = g.weight(`${prefix}embeddings.position_embeddings`, [1, tokens, width]);
  const embedded = g.op("Add", [g.op("Concat", [...before, patches], { axis: 1 }), positions]);
  const hidden = transformer(g, g.op("Reshape", [embedded, g.constant("INT64", [-1, width])]), sizes, model);
  return g.op("Reshape", [hidden, g.constant("INT64", [-1, tokens, width])]);
}

/** The norm is per token, so it may come before or after tokens are chosen. */
function finalNorm(g: GraphBuilder, hidden: Value, { prefix, width, epsilon }: Vit): Value {
  return layerNorm(g, hidden, `${prefix}layernorm`, width, epsilon);
}

/** Token number `index` of [batch, tokens, width], normed: [batch, width]. */
function token(g: GraphBuilder, hidden: Value, index: number, model: Vit): Value {
  return finalNorm(g, g.op("Gather", [hidden, g.constant("INT64", index)], { axis: 1 }), model);
}

/** The classifiers that the checkpoint has: one, or one for each learned token. */
function classifiersOf({ tensors }: GraphRequest): readonly string[] {
  const both = ["cls_classifier", "distillation_classifier"];
  if (both.every((name) => tensors.has(`${name}.weight`))) return both;
  return tensors.has("classifier.weight") ? ["classifier"] : [];
}

function classify(g: GraphBuilder, hidden: Value, model: Vit, request: GraphRequest): Value {
  const logits = classifiersOf(request).map((name, index) => {
    const out = request.tensors.get(`${name}.weight`)?.shape[0] ?? 0;
    return linear(g, token(g, hidden, index, model), { name, in: model.width, out, bias: true });
  });
  return logits.length === 1 ? g.op("Identity", logits) : g.op("Mean", logits);
}

function poolImage(g: GraphBuilder, hidden: Value, model: Vit, pooling: Pooling, config: ConfigReader): Value {
  const pooled = poolTokens(g, hidden, model, pooling.mode, config);
  return pooling.normalize ? normalizeVectors(g, pooled) : pooled;
}

function poolTokens(g: GraphBuilder, hidden: Value, model: Vit, mode: Pooling["mode"], config: ConfigReader): Value {
  const { prefix, width, tokens, learned } = model;
  switch (mode) {
    case "cls":
      return token(g, hidden, 0, model);
    case "mean": {
      const at = (index: number) => g.constant("INT64", [index]);
      const patches = g.op("Slice", [finalNorm(g, hidden, model), at(learned.length), at(tokens), at(1)]);
      return g.op("ReduceMean", [patches, at(1)], { keepdims: 0 });
    }
    case "pooler": {
      const out = config.size("pooler_output_size", width);
      const dense = linear(g, token(g, hidden, 0, model), {
        name: `${prefix}pooler.dense`,
        in: width,
        out,
        bias: true,
      });
      return activate(g, dense, config.word("pooler_act", "tanh", activationNames));
    }
    case "last":
      throw config.fail("model_type", `which has no last token to pool by, only "cls", "mean" and "pooler"`);
  }
}
