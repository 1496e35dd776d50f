"""Makes encoders/*.json: what transformers' encoders of text compute, with the made weights of weights.py.

    python test/conformance/graphs/encoders.py

Made with transformers 5.23.0 and torch on CPUs, in f32. The files have a config, the shapes of the checkpoint's tensors, inputs
and outputs, and no weights. Hidden states of padding mean nothing, so they are written as zeros.
"""

import json
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from weights import fill

FOLDER = Path(__file__).parent / "encoders"

TINY = dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
            max_position_embeddings=12)
TINY_FROM_2 = dict(TINY, max_position_embeddings=14, pad_token_id=1)
CASES = {
    "bert": ("bert", dict(TINY, type_vocab_size=3, hidden_act="gelu")),
    "bert-relu": ("bert", dict(TINY, hidden_act="relu", layer_norm_eps=1e-5, num_attention_heads=1)),
    "roberta": ("roberta", dict(TINY_FROM_2, type_vocab_size=1, layer_norm_eps=1e-5)),
    "xlm-roberta": ("xlm-roberta", dict(TINY_FROM_2, type_vocab_size=1, hidden_act="gelu_new")),
    "distilbert": ("distilbert", dict(vocab_size=40, dim=16, n_layers=2, n_heads=4, hidden_dim=24, max_position_embeddings=12,
                                      sinusoidal_pos_embds=False)),
    "electra": ("electra", dict(TINY, embedding_size=8)),
    "electra-wide": ("electra", dict(TINY, embedding_size=16)),
    # Long enough for distances that share buckets.
    "mpnet": ("mpnet", dict(TINY_FROM_2, max_position_embeddings=152, num_hidden_layers=1)),
}
# Published configs, shrunk in depth; MiniLM's keeps its vocabulary, BERT's has 2,000 of its 30,522 tokens.
REAL = {
    "bert-base-uncased": ("bert", dict(
        vocab_size=2000, hidden_size=768, num_hidden_layers=2, num_attention_heads=12, intermediate_size=3072,
        hidden_act="gelu", hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1, max_position_embeddings=512,
        type_vocab_size=2, initializer_range=0.02, layer_norm_eps=1e-12, pad_token_id=0)),
    "all-MiniLM-L6-v2": ("bert", dict(
        vocab_size=30522, hidden_size=384, num_hidden_layers=2, num_attention_heads=12, intermediate_size=1536,
        hidden_act="gelu", hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1, max_position_embeddings=512,
        type_vocab_size=2, initializer_range=0.02, layer_norm_eps=1e-12, pad_token_id=0)),
}


def rows(vocabulary: int, lengths: list[int], side: str, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and a mask: examples of these lengths, padded to the longest. No token of a text is the padding token."""
    time = max(lengths)
    ids = torch.full((len(lengths), time), pad)
    mask = torch.zeros((len(lengths), time), dtype=torch.long)
    for row, length in enumerate(lengths):
        start = time - length if side == "left" else 0
        ids[row, start:start + length] = (torch.arange(length) * 7 + 3 + row * 11) % (vocabulary - 3) + 3
        mask[row, start:start + length] = 1
    return ids, mask


def numbers(tensor: torch.Tensor) -> list[float]:
    return [float(f"{x:.7g}") for x in tensor.flatten().tolist()]


def pooled(hidden: torch.Tensor, mask: torch.Tensor, pooler: torch.Tensor | None) -> dict:
    """As sentence_transformers.models.Pooling: the mean over tokens, the first token, the last one. 16 numbers of each."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    last = mask.sum(1) - 1
    mean = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
    vectors = {
        "mean": mean,
        "mean normalized": torch.nn.functional.normalize(mean, p=2, dim=1),
        "cls": hidden[:, 0],
        "last": hidden[torch.arange(len(last)), last],
        **({} if pooler is None else {"pooler": pooler}),
    }
    return {name: numbers(vector[:, :16]) for name, vector in vectors.items()}


def run(model, ids, mask, family: str) -> tuple[dict, object]:
    """Inputs and outputs. `family` decides whether there are token types; the inputs are padded on the right."""
    inputs = {"input_ids": ids, "attention_mask": mask}
    if family in ("bert", "electra"):
        inputs["token_type_ids"] = (torch.arange(ids.shape[1]).expand_as(ids) * 2 // ids.shape[1]) * mask
    with torch.no_grad():
        return inputs, model(**inputs)


def batches(config, family: str) -> dict[str, list[int]]:
    padding = config.pad_token_id + 1 if family in ("roberta", "xlm-roberta", "mpnet") else 0
    longest = config.max_position_embeddings - padding
    return {"padded": [5, 2, 7], "one": [4], "longest": [longest]}


def case(family: str, settings: dict, lengths: dict | None = None, positions: int | None = None) -> dict:
    """`positions`: only the first so many hidden states of each example are kept, and the first 16 numbers of each."""
    config = AutoConfig.for_model(family, **settings, attn_implementation="eager")
    if config.pad_token_id is None:
        config.pad_token_id = 0
    model = AutoModel.from_config(config).eval()
    shapes = fill(model)
    result = {"family": family, "config": dict(settings, model_type=family), "shapes": shapes, "batches": {}}
    for name, sizes in (lengths or batches(config, family)).items():
        ids, mask = rows(config.vocab_size, sizes, "right", config.pad_token_id)
        inputs, out = run(model, ids, mask, family)
        hidden = out.last_hidden_state
        shown = hidden * mask.unsqueeze(-1)
        if positions is not None:
            shown = shown[:, :positions, :16]
        elif name == "longest":
            shown = shown[:, -3:]
        entry = {"inputs": {k: v.tolist() for k, v in inputs.items()}, "hidden": numbers(shown)}
        entry["hiddenShape"] = list(shown.shape)
        if name == "padded":
            entry["pooled"] = pooled(hidden, mask, getattr(out, "pooler_output", None))
        result["batches"][name] = entry
    return result


def classifier(family: str, settings: dict) -> dict:
    labels = {"id2label": {"0": "bad", "1": "fair", "2": "good"}, "label2id": {"bad": 0, "fair": 1, "good": 2}}
    config = AutoConfig.for_model(family, **settings, num_labels=3, attn_implementation="eager")
    if config.pad_token_id is None:
        config.pad_token_id = 0
    model = AutoModelForSequenceClassification.from_config(config).eval()
    shapes = fill(model)
    ids, mask = rows(config.vocab_size, [5, 2, 7], "right", config.pad_token_id)
    inputs, out = run(model, ids, mask, family)
    written = dict(settings, **labels, model_type=family, architectures=[type(model).__name__])
    return {"family": family, "config": written, "shapes": shapes,
            "inputs": {k: v.tolist() for k, v in inputs.items()}, "logits": numbers(out.logits)}


def write(name: str, content: dict) -> None:
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, (family, settings) in CASES.items():
        content = case(family, settings)
        if name == family:
            content["classifier"] = classifier(family, settings)
        write(name, content)
    for name, (family, settings) in REAL.items():
        write(name, case(family, settings, lengths={"padded": [9, 24]}, positions=4))
