"""All the tiny checkpoints and adapters that the recipes name."""

import shutil

import torch
from safetensors.torch import save_file

from making import adapters, families, vocabularies
from making.weights import (
    base_tensor,
    break_tie,
    dense,
    heavy_tailed,
    in_torch,
    load_model,
    low_rank,
    nearly_parallel,
    rng_for,
    variant_tensor,
    write_json,
    write_model,
)

# Sizes that are awkward on purpose: few are a multiple of 4, 8 or 16.
VOCAB, HIDDEN, INTERMEDIATE, LAYERS, HEADS, KV_HEADS = 37, 18, 13, 2, 3, 1
HEAD_DIM = HIDDEN // HEADS

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": VOCAB,
    "hidden_size": HIDDEN,
    "intermediate_size": INTERMEDIATE,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "head_dim": HEAD_DIM,
    "hidden_act": "silu",
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
    "initializer_range": 0.02,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def tensor_shapes():
    shapes = {"model.embed_tokens.weight": (VOCAB, HIDDEN)}
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        shapes[p + "input_layernorm.weight"] = (HIDDEN,)
        shapes[p + "self_attn.q_proj.weight"] = (HIDDEN, HIDDEN)
        shapes[p + "self_attn.k_proj.weight"] = (KV_HEADS * HEAD_DIM, HIDDEN)
        shapes[p + "self_attn.v_proj.weight"] = (KV_HEADS * HEAD_DIM, HIDDEN)
        shapes[p + "self_attn.o_proj.weight"] = (HIDDEN, HIDDEN)
        shapes[p + "post_attention_layernorm.weight"] = (HIDDEN,)
        shapes[p + "mlp.gate_proj.weight"] = (INTERMEDIATE, HIDDEN)
        shapes[p + "mlp.up_proj.weight"] = (INTERMEDIATE, HIDDEN)
        shapes[p + "mlp.down_proj.weight"] = (HIDDEN, INTERMEDIATE)
    shapes["model.norm.weight"] = (HIDDEN,)
    shapes["lm_head.weight"] = (VOCAB, HIDDEN)
    return shapes


def make_models(here):
    """Writes them under the folder `here`."""
    base = {n: base_tensor(n, s) for n, s in tensor_shapes().items()}
    models = {"base": base}
    for model, change in [("a", dense), ("b", low_rank), ("c", heavy_tailed)]:
        models[model] = {n: variant_tensor(model, change, n, t) for n, t in base.items()}
    models["near"] = {n: nearly_parallel(rng_for("near", n), t) for n, t in base.items()}
    for model, tensors in models.items():
        write_model(here / "models" / model, in_torch(tensors), CONFIG, shards=3 if model == "a" else 1)

    base16 = {n: torch.from_numpy(t).bfloat16() for n, t in base.items()}
    write_model(here / "models-bf16" / "base", base16, CONFIG)
    for model in ["a", "b"]:
        tuned = {n: torch.from_numpy(t).bfloat16() for n, t in models[model].items()}
        tuned = {n: break_tie(base16[n], t, density=0.5) for n, t in tuned.items()}
        write_model(here / "models-bf16" / model, tuned, CONFIG)
    make_headless(here, models)
    make_families(here)
    make_vocabularies(here)
    make_adapters(here, base)


def make_headless(here, models):
    """Llamas whose output head is their embedding, and fine-tunes too faint for thresholds on norms."""
    for model in "ab":
        tied = {n: t for n, t in models[model].items() if n != "lm_head.weight"}
        write_model(here / "models-tied" / model, in_torch(tied), {**CONFIG, "tie_word_embeddings": True})
        faint = {n: variant_tensor(f"faint/{model}", families.faint, n, t) for n, t in models["base"].items()}
        write_model(here / "models-faint" / model, in_torch(faint), CONFIG)


def make_families(here):
    for family, (config, shapes, variants) in families.FAMILIES.items():
        base = {n: base_tensor(f"{family}/{n}", s) for n, s in shapes.items()}
        write_model(here / family / "base", in_torch(base), config)
        for model in variants:
            change = {"a": dense, "b": low_rank, "far": families.far}[model]
            tuned = {n: variant_tensor(f"{family}/{model}", change, n, t) for n, t in base.items()}
            if (family, model) == ("models-gpt2", "b"):
                tuned = families.without_prefix(tuned, "transformer.")
            write_model(here / family / model, in_torch(tuned), config)
    ids = torch.arange(families.BERT_CONFIG["max_position_embeddings"])[None]
    bert = {**load_model(here / "models-bert" / "a"), "bert.embeddings.position_ids": ids}
    write_model(here / "models-bert" / "ids", bert, families.BERT_CONFIG)


def make_vocabularies(here):
    for name, config, tensors in vocabularies.vocabulary_models(base_tensor, variant_tensor, dense):
        write_model(here / "models-vocab" / name, in_torch(tensors), config)
        vocabularies.write_tokenizer(here / "models-vocab" / name, name)
    for name, config, tensors in vocabularies.qwen3_models(base_tensor, variant_tensor, dense):
        write_model(here / "models-qwen3" / name, in_torch(tensors), config)
        vocabularies.write_tokenizer(here / "models-qwen3" / name, "base")


def make_adapters(here, llama):
    gpt2 = {n: t.numpy() for n, t in load_model(here / "models-gpt2" / "base").items()}
    for name, config in adapters.ADAPTERS.items():
        folder = here / "adapters" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_json(folder / "adapter_config.json", config)
        tensors = adapters.adapter_tensors(name, gpt2 if name == "gpt2" else llama, rng_for)
        save_file(in_torch(tensors), folder / "adapter_model.safetensors", metadata={"format": "pt"})
