"""Tiny checkpoints of the families that are not the Llama of checkpoints.py.

    models-deep/   a Llama of four layers, for slices; `far` is hardly a fine-tune, its deltas are of the weights' own size
    models-tied/   `a` and `b` of models/ without a head of their own
    models-faint/  models/base with deltas of 2e-4, where thresholds on norms bite
    models-gpt2/   GPT-2: Conv1D layout, no head; `b` has its tensors under the old names, without "transformer."
    models-bert/   BertForMaskedLM; `ids` is `a` with the numbers of the positions, as int64, that old checkpoints have
    models-t5/     T5 with gated feed-forward layers, three modules in mergekit's eyes
    models-moe/    Qwen3-MoE, one tensor per expert
    models-moe2/   Qwen2-MoE, an architecture that mergekit has no definition of
"""

VOCAB, HIDDEN, INTERMEDIATE, HEADS, KV_HEADS = 23, 8, 10, 2, 1


def llama_config(**changes):
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCAB,
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": 4,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HIDDEN // HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        **changes,
    }


def attention_shapes(prefix, hidden, kv):
    return {
        f"{prefix}.q_proj.weight": (hidden, hidden),
        f"{prefix}.k_proj.weight": (kv, hidden),
        f"{prefix}.v_proj.weight": (kv, hidden),
        f"{prefix}.o_proj.weight": (hidden, hidden),
    }


def mlp_shapes(prefix, hidden, intermediate):
    return {
        f"{prefix}.gate_proj.weight": (intermediate, hidden),
        f"{prefix}.up_proj.weight": (intermediate, hidden),
        f"{prefix}.down_proj.weight": (hidden, intermediate),
    }


def llama_shapes(config):
    hidden, kv = config["hidden_size"], config["num_key_value_heads"] * config["head_dim"]
    shapes = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        shapes[f"{layer}.input_layernorm.weight"] = (hidden,)
        shapes |= attention_shapes(f"{layer}.self_attn", hidden, kv)
        shapes[f"{layer}.post_attention_layernorm.weight"] = (hidden,)
        shapes |= mlp_shapes(f"{layer}.mlp", hidden, config["intermediate_size"])
    shapes["model.norm.weight"] = (hidden,)
    shapes["lm_head.weight"] = (config["vocab_size"], hidden)
    return shapes


def qwen3_config(**changes):
    config = llama_config(architectures=["Qwen3ForCausalLM"], model_type="qwen3", num_hidden_layers=2)
    del config["mlp_bias"]
    return config | changes


def qwen3_shapes(config):
    shapes = llama_shapes(config)
    for i in range(config["num_hidden_layers"]):
        for norm in ("q_norm", "k_norm"):
            shapes[f"model.layers.{i}.self_attn.{norm}.weight"] = (config["head_dim"],)
    return shapes


GPT2_CONFIG = {
    "architectures": ["GPT2LMHeadModel"],
    "model_type": "gpt2",
    "vocab_size": 29,
    "n_embd": 12,
    "n_layer": 2,
    "n_head": 3,
    "n_inner": 20,
    "n_positions": 16,
    "n_ctx": 16,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-05,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def gpt2_shapes():
    width, inner = GPT2_CONFIG["n_embd"], GPT2_CONFIG["n_inner"]
    shapes = {
        "transformer.wte.weight": (GPT2_CONFIG["vocab_size"], width),
        "transformer.wpe.weight": (GPT2_CONFIG["n_positions"], width),
        "transformer.ln_f.weight": (width,),
        "transformer.ln_f.bias": (width,),
    }
    for i in range(GPT2_CONFIG["n_layer"]):
        # Conv1D: a weight is [in, out].
        for name, ins, outs in [
            ("attn.c_attn", width, 3 * width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", width, inner),
            ("mlp.c_proj", inner, width),
        ]:
            shapes[f"transformer.h.{i}.{name}.weight"] = (ins, outs)
            shapes[f"transformer.h.{i}.{name}.bias"] = (outs,)
        for norm in ("ln_1", "ln_2"):
            shapes[f"transformer.h.{i}.{norm}.weight"] = (width,)
            shapes[f"transformer.h.{i}.{norm}.bias"] = (width,)
    return shapes


BERT_CONFIG = {
    "architectures": ["BertForMaskedLM"],
    "model_type": "bert",
    "vocab_size": 27,
    "hidden_size": 12,
    "intermediate_size": 14,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}


def bert_shapes():
    """Without cls.predictions.transform, which mergekit's definition of the architecture lacks, and so drops."""
    width, inner, vocab = BERT_CONFIG["hidden_size"], BERT_CONFIG["intermediate_size"], BERT_CONFIG["vocab_size"]
    shapes = {
        "bert.embeddings.word_embeddings.weight": (vocab, width),
        "bert.embeddings.position_embeddings.weight": (BERT_CONFIG["max_position_embeddings"], width),
        "bert.embeddings.token_type_embeddings.weight": (2, width),
        "bert.embeddings.LayerNorm.weight": (width,),
        "bert.embeddings.LayerNorm.bias": (width,),
        "bert.pooler.dense.weight": (width, width),
        "bert.pooler.dense.bias": (width,),
        "cls.predictions.bias": (vocab,),
    }
    for i in range(BERT_CONFIG["num_hidden_layers"]):
        for name, ins, outs in [
            ("attention.self.query", width, width),
            ("attention.self.key", width, width),
            ("attention.self.value", width, width),
            ("attention.output.dense", width, width),
            ("intermediate.dense", width, inner),
            ("output.dense", inner, width),
        ]:
            shapes[f"bert.encoder.layer.{i}.{name}.weight"] = (outs, ins)
            shapes[f"bert.encoder.layer.{i}.{name}.bias"] = (outs,)
        for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"bert.encoder.layer.{i}.{norm}.weight"] = (width,)
            shapes[f"bert.encoder.layer.{i}.{norm}.bias"] = (width,)
    return shapes


T5_CONFIG = {
    "architectures": ["T5ForConditionalGeneration"],
    "model_type": "t5",
    "vocab_size": 25,
    "d_model": 8,
    "d_kv": 4,
    "d_ff": 10,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "num_heads": 2,
    "relative_attention_num_buckets": 8,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
    "is_encoder_decoder": True,
    "decoder_start_token_id": 0,
    "pad_token_id": 0,
    "eos_token_id": 1,
}


def t5_shapes():
    width, inner, vocab = T5_CONFIG["d_model"], T5_CONFIG["d_ff"], T5_CONFIG["vocab_size"]
    shapes = {"shared.weight": (vocab, width), "lm_head.weight": (vocab, width)}
    for stack, layers, parts in [
        ("encoder", T5_CONFIG["num_layers"], ["SelfAttention", "DenseReluDense"]),
        ("decoder", T5_CONFIG["num_decoder_layers"], ["SelfAttention", "EncDecAttention", "DenseReluDense"]),
    ]:
        shapes[f"{stack}.final_layer_norm.weight"] = (width,)
        for i in range(layers):
            for place, part in enumerate(parts):
                layer = f"{stack}.block.{i}.layer.{place}"
                shapes[f"{layer}.layer_norm.weight"] = (width,)
                if part == "DenseReluDense":
                    shapes[f"{layer}.{part}.wi_0.weight"] = (inner, width)
                    shapes[f"{layer}.{part}.wi_1.weight"] = (inner, width)
                    shapes[f"{layer}.{part}.wo.weight"] = (width, inner)
                else:
                    shapes |= {f"{layer}.{part}.{p}.weight": (width, width) for p in "qkvo"}
            if i == 0:
                buckets = (T5_CONFIG["relative_attention_num_buckets"], T5_CONFIG["num_heads"])
                shapes[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = buckets
    return shapes


EXPERTS, EXPERT_WIDTH = 4, 6


def moe_config(kind):
    config = llama_config(
        num_hidden_layers=2,
        num_experts=EXPERTS,
        num_experts_per_tok=2,
        moe_intermediate_size=EXPERT_WIDTH,
        decoder_sparse_step=1,
        norm_topk_prob=True,
    )
    del config["mlp_bias"]
    if kind == "qwen3":
        return config | {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe"}
    del config["head_dim"]
    return config | {
        "architectures": ["Qwen2MoeForCausalLM"],
        "model_type": "qwen2_moe",
        "shared_expert_intermediate_size": 5,
    }


def moe_shapes(kind):
    config = moe_config("qwen3")
    shapes = qwen3_shapes(config) if kind == "qwen3" else llama_shapes(config)
    shapes = {n: s for n, s in shapes.items() if ".mlp." not in n}
    for i in range(config["num_hidden_layers"]):
        mlp = f"model.layers.{i}.mlp"
        shapes[f"{mlp}.gate.weight"] = (EXPERTS, HIDDEN)
        for expert in range(EXPERTS):
            shapes |= mlp_shapes(f"{mlp}.experts.{expert}", HIDDEN, EXPERT_WIDTH)
        if kind == "qwen2":
            attention = f"model.layers.{i}.self_attn"
            shapes[f"{attention}.q_proj.bias"] = (HIDDEN,)
            shapes[f"{attention}.k_proj.bias"] = (HIDDEN // HEADS,)
            shapes[f"{attention}.v_proj.bias"] = (HIDDEN // HEADS,)
            shapes |= mlp_shapes(f"{mlp}.shared_expert", HIDDEN, 5)
            shapes[f"{mlp}.shared_expert_gate.weight"] = (1, HIDDEN)
    return shapes


def without_prefix(tensors, prefix):
    return {n.removeprefix(prefix): t for n, t in tensors.items()}


def faint(rng, shape):
    """A fine-tune of one epoch too few: every sum of squares stays under the thresholds of SCE and model stock."""
    return 2e-4 * rng.standard_normal(shape)


def far(rng, shape):
    """So much of a change that float32 sees clearly how a row's softmax moves."""
    return 0.7 * rng.standard_normal(shape)


FAMILIES = {
    "models-deep": (llama_config(), llama_shapes(llama_config()), ["a", "b", "far"]),
    "models-gpt2": (GPT2_CONFIG, gpt2_shapes(), "ab"),
    "models-bert": (BERT_CONFIG, bert_shapes(), "ab"),
    "models-t5": (T5_CONFIG, t5_shapes(), "a"),
    "models-moe": (moe_config("qwen3"), moe_shapes("qwen3"), "ab"),
    "models-moe2": (moe_config("qwen2"), moe_shapes("qwen2"), "a"),
}
