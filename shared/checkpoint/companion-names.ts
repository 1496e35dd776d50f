/** What a model needs besides weights and config, in the names that transformers, its processors and vLLM read. */
export const companionNames = [
  "generation_config.json",
  "tokenizer.json",
  "tokenizer.model",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "vocab.txt",
  "merges.txt",
  "spiece.model",
  "sentencepiece.bpe.model",
  "tekken.json",
  "chat_template.jinja",
  "chat_template.json",
  "preprocessor_config.json",
  "processor_config.json",
  "video_preprocessor_config.json",
] as const;

/** Terms that a model comes with, in the names under which they are published. */
export const licenseNames = [
  "LICENSE",
  "LICENSE.txt",
  "LICENSE.md",
  "COPYING",
  "NOTICE",
  "NOTICE.txt",
  "NOTICE.md",
  "USE_POLICY.md",
] as const;
