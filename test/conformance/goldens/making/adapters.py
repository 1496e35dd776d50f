"""LoRA adapters in PEFT's layout, for references of the form model+adapter.

    adapters/plain     rank 2, alpha 4, on q_proj, v_proj and down_proj of models/base
    adapters/patterns  a rank and an alpha of their own for some modules
    adapters/rslora    alpha / sqrt(rank)
    adapters/whole     with a whole head in the place of the model's (modules_to_save)
    adapters/embed     on the embedding
    adapters/gpt2      on c_attn of models-gpt2/base, whose weights are [in, out]
"""

import numpy as np

LLAMA, GPT2 = "../models/base", "../models-gpt2/base"


def config(target, base, **changes):
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": 2,
        "lora_alpha": 4,
        "target_modules": target,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "modules_to_save": None,
        "rank_pattern": {},
        "alpha_pattern": {},
        "use_rslora": False,
        **changes,
    }


PATTERNS = {"rank_pattern": {"layers.0.self_attn.q_proj": 3, "down_proj": 1}, "alpha_pattern": {"v_proj": 3}}

ADAPTERS = {
    "plain": config(["q_proj", "v_proj", "down_proj"], LLAMA),
    "patterns": config(["q_proj", "v_proj", "down_proj"], LLAMA, **PATTERNS),
    "rslora": config(["q_proj", "up_proj"], LLAMA, r=3, lora_alpha=2, use_rslora=True),
    "whole": config(["k_proj"], LLAMA, modules_to_save=["lm_head"]),
    "embed": config(["embed_tokens", "o_proj"], LLAMA),
    "gpt2": config(["c_attn"], GPT2, fan_in_fan_out=True),
}


def rank(settings, module):
    for pattern, value in settings["rank_pattern"].items():
        if module.endswith(pattern):
            return value
    return settings["r"]


def adapter_tensors(name, base, rng_for):
    """A and B of every target, [rank, in] and [out, rank], under PEFT's names; `base` is the model's tensors."""
    settings = ADAPTERS[name]
    tensors = {}
    for weight, values in base.items():
        module = weight.removesuffix(".weight")
        last = module.rsplit(".", 1)[-1]
        prefix = f"base_model.model.{module}"
        if last in (settings["modules_to_save"] or []):
            change = 0.02 * rng_for("adapter", name, weight).standard_normal(values.shape)
            tensors[f"{prefix}.weight"] = (values + change).astype(np.float32)
        if last not in settings["target_modules"] or not weight.endswith(".weight"):
            continue
        outs, ins = values.shape[::-1] if settings["fan_in_fan_out"] else values.shape
        r = rank(settings, module)
        suffixes = ("lora_A.weight", "lora_B.weight")
        if last == "embed_tokens":
            # PEFT keeps an embedding's factors transposed: [rank, tokens] and [width, rank].
            outs, ins, suffixes = ins, outs, ("lora_embedding_A", "lora_embedding_B")
        for suffix, shape in zip(suffixes, [(r, ins), (outs, r)]):
            draw = rng_for("adapter", name, weight, suffix).standard_normal(shape)
            tensors[f"{prefix}.{suffix}"] = (0.15 * draw).astype(np.float32)
    return tensors
