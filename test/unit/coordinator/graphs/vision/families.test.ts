import { expect, test } from "vitest";
import type { GraphRequest } from "../../../../../coordinator/graphs/types.js";
import { visionFamilies } from "../../../../../coordinator/graphs/vision/families.js";

type Config = Readonly<Record<string, unknown>> & { readonly model_type: string };

const vit = { model_type: "vit", hidden_size: 8, num_attention_heads: 2, image_size: 8, patch_size: 4 };
const vision = { ...vit, model_type: "clip_vision_model" };

function build(config: Config, shapes: Record<string, number[]>, rest: Partial<GraphRequest> = {}) {
  const tensors = new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: "F32" }]));
  return visionFamilies[config.model_type]?.({ config, tensors, configFile: "config.json", ...rest });
}

test.each<{
  config: Config;
  shapes?: Record<string, number[]>;
  rest?: Partial<GraphRequest>;
  problem: string;
}>([
  {
    config: { ...vit, num_attention_heads: 3 },
    problem: '"num_attention_heads" is 3, which does not divide the hidden size of 8',
  },
  { config: { ...vit, hidden_act: "mish" }, problem: '"hidden_act" is "mish", which is not supported' },
  {
    config: { ...vit, patch_size: 9 },
    problem: '"patch_size" is 9, which is more than the 8 pixels of an image\'s side',
  },
  {
    config: vit,
    shapes: { "embeddings.position_embeddings": [1, 10, 8] },
    problem:
      '"image_size" is 8, which makes 5 tokens of patches of 4 pixels, but the checkpoint has position embeddings for 10: interpolating them is not supported',
  },
  { config: vit, rest: { output: "logits" }, problem: 'the checkpoint has no "classifier.weight"' },
  {
    config: { ...vit, architectures: ["ViTForImageClassification"] },
    problem: 'the checkpoint has no "classifier.weight"',
  },
  { config: vit, rest: { pooling: { mode: "last", normalize: false } }, problem: "no last token to pool by" },
  { config: vision, problem: "the checkpoint has the embeddings of neither tower" },
  {
    config: { ...vision, image_size: 16 },
    shapes: {
      "vision_model.embeddings.class_embedding": [8],
      "vision_model.embeddings.position_embedding.weight": [5, 8],
    },
    problem: "position embeddings for 5: interpolating them is not supported",
  },
  {
    config: { model_type: "clip", text_config: { hidden_size: "wide" } },
    shapes: { "text_model.embeddings.token_embedding.weight": [5, 8] },
    problem: '"text_config.hidden_size" is "wide"',
  },
])("refused: $problem", ({ config, shapes = {}, rest, problem }) => {
  expect(() => build(config, shapes, rest)).toThrow(problem);
});

test("what a checkpoint of CLIP does not have is not built", () => {
  const text = { "text_model.embeddings.token_embedding.weight": [49408, 512] };
  const image = { "vision_model.embeddings.class_embedding": [768] };
  const roles = (shapes: Record<string, number[]>) => Object.keys(build({ model_type: "clip" }, shapes)?.graphs ?? {});
  expect(roles({ ...text, ...image })).toEqual(["text", "image"]);
  expect(roles(text)).toEqual(["text"]);
  expect(roles(image)).toEqual(["image"]);
});

test("of a section that an old CLIP has twice, only the second counts, as in transformers", () => {
  const vision_config = { image_size: 64, patch_size: 16, num_channels: 1 };
  const config = { model_type: "clip", vision_config, vision_config_dict: { image_size: 96 } };
  const built = build(config, { "vision_model.embeddings.class_embedding": [768] });
  expect(built?.image).toEqual({ channels: 3, height: 96, width: 96 });
  const kernel = built?.graphs.image?.weights.find(({ name }) => name.endsWith("patch_embedding.weight"));
  expect(kernel?.shape).toEqual([768, 3, 32, 32]);
});
