"""The models that moe.py runs: all made up, with the sizes of decoders_cases.py."""

from decoders_cases import TINY


def mixtral(**changes):
    return {"model_type": "mixtral", **TINY, "num_local_experts": 4, "num_experts_per_tok": 2, **changes}


def qwen2(**changes):
    experts = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
    return {"model_type": "qwen2_moe", **TINY, **experts, "shared_expert_intermediate_size": 20, **changes}


def qwen3(**changes):
    experts = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
    return {"model_type": "qwen3_moe", **TINY, **experts, "head_dim": 16, **changes}


# Name, config, lengths of the examples, side of padding, what to compute.
CASES = [
    ("right padding", mixtral(), [9, 4, 7], "right", "tokens"),
    (
        "a window, left padding, generation",
        mixtral(sliding_window=4, rope_theta=1e6, head_dim=None),
        [9, 4, 7],
        "left",
        "generate",
    ),
    ("one example of one token", mixtral(), [1], "left", "generate"),
    ("more experts than tokens", mixtral(num_local_experts=16, num_hidden_layers=1), [3], "left", "tokens"),
    ("one expert for each token", mixtral(num_experts_per_tok=1), [9, 4], "left", "tokens"),
    ("all experts for each token", mixtral(num_experts_per_tok=4), [9, 4], "right", "tokens"),
    (
        "classifier",
        mixtral(architectures=["MixtralForSequenceClassification"], id2label={"0": "no", "1": "yes"}),
        [5, 9],
        "left",
        "logits",
    ),
    ("shares as they are", qwen2(), [9, 4, 7], "left", "generate"),
    ("shares that add up to one", qwen2(norm_topk_prob=True, qkv_bias=False), [9, 4], "right", "tokens"),
    (
        "experts in every other layer but one",
        qwen2(num_hidden_layers=4, decoder_sparse_step=2, mlp_only_layers=[1]),
        [9, 4],
        "left",
        "tokens",
    ),
    (
        "windows in some layers",
        qwen2(num_hidden_layers=3, use_sliding_window=True, sliding_window=3, max_window_layers=2),
        [9, 6],
        "right",
        "tokens",
    ),
    ("shares as they are", qwen3(), [9, 4], "right", "tokens"),
    ("shares that add up to one", qwen3(norm_topk_prob=True), [9, 4, 7], "left", "generate"),
    ("a layer without experts", qwen3(mlp_only_layers=[0]), [1], "left", "generate"),
    ("windows", qwen3(use_sliding_window=True, sliding_window=4, max_window_layers=1), [9, 4], "left", "tokens"),
    (
        "128 experts, of which each token has 8",
        qwen3(
            num_hidden_layers=1,
            num_experts=128,
            num_experts_per_tok=8,
            moe_intermediate_size=12,
            norm_topk_prob=True,
            rope_theta=1000000.0,
        ),
        [12, 5],
        "left",
        "tokens",
    ),
]
