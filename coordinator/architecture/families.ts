/** What we know of a family of models beforehand; the rest is seen in its tensors' names. */
export interface Family {
  /** As `model_type` in config.json. */
  readonly types: readonly string[];
  readonly modules: readonly FamilyModule[];
  /** What the head's weight is called where it is stored; undefined for models without one. */
  readonly head: string | undefined;
}

export interface FamilyModule {
  readonly name: string;
  /** Components of a tensor's name, one of which says that it belongs here. Undefined: everything that is left. */
  readonly components?: readonly string[];
  /** Where config.json may have the number of layers, dots for nesting, the one that readers go by first. */
  readonly layerCounts: readonly string[];
  /** Rows of its embeddings are tokens. @default true */
  readonly hasTokens?: boolean;
}

/** Components that number the layers of every known family. */
export const stackWords: ReadonlySet<string> = new Set(["layers", "layer", "h", "block", "blocks"]);

/** How config.json calls the number of layers of a model with one stack. */
export const commonLayerCounts = ["num_hidden_layers", "n_layer", "n_layers", "num_layers"] as const;

/** Sections of config.json that describe the language model of a multimodal one. */
export const textSections = ["text_config", "text_config_dict", "llm_config", "language_config"] as const;

const alone: readonly FamilyModule[] = [{ name: "default", layerCounts: commonLayerCounts }];

/** Names and order as mergekit's for T5. */
const encoderDecoder = (encoder: readonly string[], decoder: string): readonly FamilyModule[] => [
  { name: "decoder", components: ["decoder"], layerCounts: [decoder] },
  { name: "encoder", components: ["encoder"], layerCounts: encoder },
  { name: "shared", layerCounts: [] },
];

const textLayers = [...textSections.map((section) => `${section}.num_hidden_layers`), "num_hidden_layers"];

/** Names and order as mergekit's for Gemma 3, Qwen-VL and Llama 4. */
const visionLanguage = (vision: string): readonly FamilyModule[] => [
  { name: "text_decoder", layerCounts: textLayers },
  {
    name: "multi_modal_projector",
    components: ["multi_modal_projector", "merger", "deepstack_merger_list", "connector"],
    layerCounts: [],
    hasTokens: false,
  },
  {
    name: vision,
    components: ["vision_tower", "vision_model", "visual"],
    layerCounts: ["vision_config.num_hidden_layers", "vision_config.depth", "vision_config.num_layers"],
    hasTokens: false,
  },
];

const words = (text: string): readonly string[] => text.trim().split(/\s+/);

export const families: readonly Family[] = [
  {
    types: words(`
      llama mistral ministral mixtral qwen qwen2 qwen2_moe qwen3 qwen3_moe qwen3_next gemma gemma2 gemma3_text phi phi3 phimoe
      deepseek_v2 deepseek_v3 gpt2 gpt_bigcode gpt_neo gptj falcon bloom opt stablelm stablelm_epoch cohere cohere2 granite
      granitemoe granitemoehybrid olmo olmo2 olmo3 olmoe starcoder2 apertus arcee afmoe baichuan exaone exaone4 glm glm4
      glm4_moe gpt_oss jais lfm2 mamba nemotron phi3small phi-msft smollm3 solar llama4_text ernie4_5 ernie4_5_moe seed_oss
      hunyuan_v1_dense hunyuan_v1_moe minimax dots1 bamba jamba mamba2 falcon_mamba falcon_h1 nemotron_h codegen mpt dbrx`),
    modules: alone,
    head: "lm_head.weight",
  },
  { types: ["gpt_neox"], modules: alone, head: "embed_out.weight" },
  { types: ["internlm2"], modules: alone, head: "output.weight" },
  { types: ["chatglm"], modules: alone, head: "transformer.output_layer.weight" },
  { types: ["bert"], modules: alone, head: "cls.predictions.decoder.weight" },
  { types: words("roberta xlm-roberta camembert"), modules: alone, head: "lm_head.decoder.weight" },
  { types: ["distilbert"], modules: alone, head: "vocab_projector.weight" },
  { types: words("vit deit beit dinov2 clip_vision_model siglip_vision_model"), modules: alone, head: undefined },
  { types: ["clip_text_model"], modules: alone, head: undefined },
  {
    types: words("t5 mt5 umt5 longt5"),
    modules: encoderDecoder(["num_layers", "num_hidden_layers"], "num_decoder_layers"),
    head: "lm_head.weight",
  },
  {
    types: words("bart mbart marian pegasus blenderbot m2m_100"),
    modules: encoderDecoder(["encoder_layers", "num_hidden_layers"], "decoder_layers"),
    head: "lm_head.weight",
  },
  {
    // No embedding is shared with the encoder, which hears: what is left belongs to the decoder.
    types: ["whisper"],
    modules: [
      { name: "decoder", layerCounts: ["decoder_layers"] },
      {
        name: "encoder",
        components: ["encoder"],
        layerCounts: ["encoder_layers", "num_hidden_layers"],
        hasTokens: false,
      },
    ],
    head: "proj_out.weight",
  },
  {
    types: words("clip siglip siglip2"),
    modules: [
      { name: "text_model", layerCounts: textLayers.slice(0, 2) },
      {
        name: "vision_model",
        components: ["vision_model", "visual_projection"],
        layerCounts: ["vision_config.num_hidden_layers", "vision_config_dict.num_hidden_layers"],
        hasTokens: false,
      },
    ],
    head: undefined,
  },
  {
    types: words(`
      gemma3 mistral3 llava llava_next llava_onevision vipllava paligemma qwen2_vl qwen2_5_vl qwen3_vl qwen3_vl_moe mllama
      idefics3 smolvlm internvl aya_vision glm4v glm4v_moe lfm2_vl`),
    modules: visionLanguage("vision_tower"),
    head: "lm_head.weight",
  },
  { types: ["llama4"], modules: visionLanguage("vision_model"), head: "lm_head.weight" },
];
