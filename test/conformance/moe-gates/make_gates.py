"""Gates that mergekit-moe makes of hidden states, for small models with made weights.

    python make_gates.py          writes gates.json beside this file; a second run writes the same

It calls mergekit's own `get_gate_params`, with two changes:

* The base is loaded in float32. mergekit always loads it in bfloat16, whose rounding would hide all that is compared.
* For `hidden_avg`, each prompt is run by itself, unless a case says "as it is". mergekit runs a list of prompts as one batch
  and divides by its length: the states of padding count in the average, and what those are depends on how attention is
  computed (transformers' "eager" lets padding see all tokens, "sdpa" none). Prompts of one length have no padding, and a
  case shows that there nothing is changed.

Run with mergekit 0.1.5, transformers 5.23.0, torch 2.15.0 (CPU).
"""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import mergekit.moe.router as router
import torch
import transformers
from mergekit.common import ModelReference
from mergekit.moe.config import Expert
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

HERE = Path(__file__).resolve().parent
TOKENIZER = HERE.parent / "goldens" / "models-vocab" / "base"
sys.path.insert(0, str(HERE.parent / "graphs"))

from weights import fill  # noqa: E402

TINY = {
    "vocab_size": 48,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def tiny(model_type, **changes):
    return {"architectures": [CLASSES[model_type]], "model_type": model_type, **TINY, **changes}


CLASSES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}

UNLIKE = [
    (["the hen and the fox of an inn", "a", "zebra quiz"], ["of the inn"]),
    (["and and and and.", "the hen"], []),
    (["X", "quiz"], ["the hen and the fox", "an inn", "a fox"]),
]
# Six tokens each.
ALIKE = [(["the hen", "the fox"], ["a hen"]), (["of the inn", "a fox"], [])]
SHARED = [(["the inn", "a thing of the fox"], ["zebra"])]

# Name, config, gate_mode, experts, shared experts, whether mergekit runs prompts as it always does.
CASES = [
    ("left padding", tiny("llama"), "hidden", UNLIKE, [], True),
    ("left padding", tiny("llama"), "hidden_last", UNLIKE, [], True),
    ("prompts one by one", tiny("llama"), "hidden_avg", UNLIKE, [], False),
    ("prompts of one length, as it is", tiny("llama"), "hidden_avg", ALIKE, [], True),
    ("a window of four tokens", tiny("mistral", sliding_window=4), "hidden_last", UNLIKE, [], True),
    ("a window of four tokens", tiny("mistral", sliding_window=4), "hidden_avg", UNLIKE, [], False),
    ("a shared expert", tiny("qwen2"), "hidden", UNLIKE, SHARED, True),
    ("a shared expert", tiny("qwen2"), "hidden_avg", UNLIKE, SHARED, False),
    ("normed heads", tiny("qwen3", head_dim=8), "hidden", UNLIKE, [], True),
    ("one layer", tiny("llama", num_hidden_layers=1), "hidden_avg", UNLIKE, [], False),
]


def save_model(config, folder):
    parsed = CONFIG_MAPPING[config["model_type"]].from_dict(json.loads(json.dumps(config)))
    model = AutoModelForCausalLM.from_config(parsed).eval().float()
    shapes = fill(model)
    model.save_pretrained(folder)
    return shapes


def tokenizer_as_mergekit_sets_it():
    tokenizer = transformers.AutoTokenizer.from_pretrained(TOKENIZER)
    tokenizer.padding_side = "left"
    tokenizer.pad_token_id = tokenizer.bos_token_id
    return tokenizer


whole_batch = router.get_hidden_states


def one_by_one(model, tokenized, average=True):
    states = []
    for ids, mask in zip(tokenized["input_ids"], tokenized["attention_mask"]):
        own = ids[mask == 1].unsqueeze(0)
        alone = transformers.BatchEncoding({"input_ids": own, "attention_mask": torch.ones_like(own)})
        states.append(whole_batch(model, alone, average))
    return sum(states) / len(states)


class InFloat32:
    """Stands in for AutoModelForCausalLM in the router."""

    @staticmethod
    def from_pretrained(path, **options):
        return AutoModelForCausalLM.from_pretrained(path, **{**options, "torch_dtype": torch.float32}).eval()


def gates_of(config, mode, experts, as_it_is):
    router.get_hidden_states = whole_batch if as_it_is else one_by_one
    with tempfile.TemporaryDirectory() as folder:
        shapes = save_model(config, folder)
        reference = ModelReference.model_validate(folder)
        listed = [
            Expert(source_model=reference, positive_prompts=positive, negative_prompts=negative or None)
            for positive, negative in experts
        ]
        gates = router.get_gate_params(reference, tokenizer_as_mergekit_sets_it(), listed, mode=mode, device="cpu")
    return shapes, [float(f"{x:.8g}") for x in gates.flatten().tolist()]


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    router.AutoModelForCausalLM = InFloat32
    cases = []
    for name, config, mode, experts, shared, as_it_is in CASES:
        shapes, gates = gates_of(config, mode, experts + shared, as_it_is)
        prompts = [[{"positive": yes, "negative": no} for yes, no in group] for group in (experts, shared)]
        case = {"name": name, "config": config, "gate_mode": mode, "weights": shapes}
        cases.append({**case, "experts": prompts[0], "shared_experts": prompts[1], "gates": gates})
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "gates.json").write_text(f'{{"cases":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
