/**
 * What the words in a tensor's name say about a tensor outside the layers. Names of published models are made of few
 * words, and they mean the same everywhere.
 */

/** Words of a head, which may have embeddings or norms of its own. As a whole component of the name. */
const head =
  /(?:^|\.)(?:\w*head|embed_out|cls|score|\w*classifier|pooler|qa_outputs|vocab_\w+|output(?:_layer)?|logit\w*|proj_out|project_out|final\w*|mtp)(?:\.|$)/;

const before =
  /embed|(?:^|[._])emb(?:[._]|$)|wte|wpe|patch|(?:^|[._])pos(?:_|ition)|rotary|relative|(?:^|\.)conv\d?\.|_token$|(?:^|[._])pre(?:_|$|\.)|(?:norm|ln)_pre|stem|project_in|multi_modal_projector|merger|connector|(?:^|\.)shared\./;

const after = /norm|(?:^|[._])ln(?:[._]|\d|$)|projection|proj$|(?:^|[._])post(?:_|$)|adapter/;

/** On which side of the layers a tensor stands; undefined where its name does not say. */
export function sideOf(name: string): "before" | "after" | undefined {
  if (head.test(name)) return "after";
  if (before.test(name)) return "before";
  return after.test(name) ? "after" : undefined;
}

const tokenEmbedding =
  /(?:^|\.)(?:embed_tokens|wte|word_embeddings?|tok_embeddings|embed_in|token_embeddings?|shared|backbone\.embeddings?)\.weight$/;

const tokenHead =
  /(?:^|\.)(?:lm_head(?:\.decoder|\.linear)?|cls\.predictions(?:\.decoder)?|embed_out|output|output_layer|vocab_projector|proj_out|shared_head\.head|generator_lm_head)\.(?:weight|bias)$/;

/** Whether the rows of a tensor outside the layers are tokens, by its name. */
export function tokensOf(name: string): "embedding" | "head" | undefined {
  if (tokenEmbedding.test(name)) return "embedding";
  return tokenHead.test(name) ? "head" : undefined;
}

const tokenLike = /emb|wte|token|shared/i;
const notTokens = /pos|type|patch|relative|image|visual/i;
const headLike = /head|out|logit|decoder|proj|vocab/i;

/** Whether a matrix of an unknown model may be one of tokens, if it has as many rows as there are. */
export function mayBeTokens(name: string, part: "before" | "after"): boolean {
  return part === "before" ? tokenLike.test(name) && !notTokens.test(name) : headLike.test(name);
}

const buffer =
  /(?:^|\.)(?:inv_freq|masked_bias|position_ids|token_type_ids|num_batches_tracked|(?:attn|attention)\.bias)$/;

/** Buffers that transformers once saved with the weights and computes today: models with and without them are alike. */
export function isBuffer(name: string): boolean {
  return buffer.test(name);
}
