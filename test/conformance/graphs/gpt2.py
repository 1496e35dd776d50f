"""Goldens of GPT-2: as decoders.py, whose fields these have, for models that are read from disk as in moe.py.

    python gpt2.py            writes decoders/gpt2.json
"""

from pathlib import Path

from decoders import write
from moe import model_from_disk

TINY = {
    "model_type": "gpt2",
    "vocab_size": 48,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

CASES = [
    ("tied head, right padding", TINY, [9, 4, 7], "right", "tokens"),
    ("left padding, generation", TINY, [9, 4, 7], "left", "generate"),
    ("one example of one token", TINY, [1], "left", "generate"),
    ("the longest input", TINY, [32], "right", "tokens"),
    (
        "a head of its own, scores scaled by layer, width of the MLP",
        {
            **TINY,
            "n_inner": 40,
            "activation_function": "relu",
            "layer_norm_epsilon": 1e-3,
            "scale_attn_by_inverse_layer_idx": True,
            "tie_word_embeddings": False,
        },
        [6, 3],
        "left",
        "generate",
    ),
    ("scores that are not scaled", {**TINY, "n_layer": 1, "scale_attn_weights": False}, [6, 3], "right", "tokens"),
    ("classifier", {**TINY, "architectures": ["GPT2ForSequenceClassification"]}, [5, 9], "right", "logits"),
    ("names without a prefix", {**TINY, "architectures": ["GPT2Model"]}, [5, 9], "left", "vectors"),
]

if __name__ == "__main__":
    write(CASES, Path(__file__).parent / "decoders", model_from_disk)
