import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { randomTensor, type TestTensor, writeCheckpoint } from "../../support/checkpoints.js";

export const hidden = 64;
export const intermediate = 96;
const layers = 2;

/** What the tokenizer knows. */
export const tokens = ["<unk>", "<s>", "the", "hen", "fox", "code", "proof", "verse"];

/** A Llama of two layers in bfloat16, with a tokenizer of a few words. Other seeds give other weights. */
export async function writeLlama(folder: string, seed: number): Promise<void> {
  const matrix = (place: number, shape: readonly number[]): TestTensor =>
    randomTensor(100 * seed + place, shape, "BF16");
  const tensors: Record<string, TestTensor> = {
    "lm_head.weight": matrix(1, [8, hidden]),
    "model.embed_tokens.weight": matrix(0, [8, hidden]),
    "model.norm.weight": matrix(2, [hidden]),
  };
  for (let layer = 0; layer < layers; layer += 1) {
    const at = `model.layers.${layer}.`;
    const place = 10 * (layer + 1);
    for (const [i, projection] of ["q_proj", "k_proj", "v_proj", "o_proj"].entries()) {
      tensors[`${at}self_attn.${projection}.weight`] = matrix(place + i, [hidden, hidden]);
    }
    tensors[`${at}mlp.gate_proj.weight`] = matrix(place + 4, [intermediate, hidden]);
    tensors[`${at}mlp.up_proj.weight`] = matrix(place + 5, [intermediate, hidden]);
    tensors[`${at}mlp.down_proj.weight`] = matrix(place + 6, [hidden, intermediate]);
    tensors[`${at}input_layernorm.weight`] = matrix(place + 7, [hidden]);
    tensors[`${at}post_attention_layernorm.weight`] = matrix(place + 8, [hidden]);
    tensors[`${at}self_attn.rotary_emb.inv_freq`] = matrix(place + 9, [4]);
  }
  const config = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: layers,
    num_attention_heads: 4,
    vocab_size: 8,
    torch_dtype: "bfloat16",
  };
  await writeCheckpoint(folder, tensors, { config, shards: 2 });
  await writeTokenizer(folder, tokens);
}

/** One that knows whole words alone. The first two tokens are `<unk>` and `<s>`. */
export async function writeTokenizer(folder: string, tokens: readonly string[]): Promise<void> {
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const special = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const added = ["<unk>", "<s>"].map((content, id) => ({ id, content, ...special }));
  const model = { type: "WordLevel", vocab, unk_token: "<unk>" };
  const tokenizer = { version: "1.0", added_tokens: added, pre_tokenizer: { type: "Whitespace" }, model };
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify({ bos_token: "<s>" }));
}
