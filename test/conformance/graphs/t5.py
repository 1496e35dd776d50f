"""Makes t5/*.json: what transformers' T5 computes and generates, with the made weights of weights.py.

    python test/conformance/graphs/t5.py

Made with transformers 5.23.0 and torch on CPUs, in f32. The files have a config, the shapes of the checkpoint's tensors, inputs
and outputs, and no weights. Hidden states of padding mean nothing, so they are written as zeros.
"""

import json
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForSeq2SeqLM, MT5EncoderModel, T5EncoderModel
from transformers.models.t5.modeling_t5 import T5Attention

from weights import make

FOLDER = Path(__file__).parent / "t5"

# Heads together are wider than the model, and the decoder is shallower (transformers generates with no deeper one).
TINY = dict(vocab_size=36, d_model=12, d_kv=5, d_ff=20, num_layers=3, num_decoder_layers=2, num_heads=3,
            relative_attention_num_buckets=8, relative_attention_max_distance=12, pad_token_id=0, eos_token_id=1,
            decoder_start_token_id=0)
CASES = {
    "t5": ("t5", dict(TINY, feed_forward_proj="relu"), False),
    # An own head whose states are not scaled, as T5 1.1 and Flan-T5 have.
    "t5-v1.1": ("t5", dict(TINY, feed_forward_proj="gated-gelu", tie_word_embeddings=False), True),
    "mt5": ("mt5", dict(TINY, feed_forward_proj="gated-silu", tie_word_embeddings=False, num_decoder_layers=1), True),
}
# The published config at 2 of 6 layers and with 2,000 of its 32,128 tokens.
T5_SMALL = dict(vocab_size=2000, d_model=512, d_kv=64, d_ff=2048, num_layers=2, num_decoder_layers=2, num_heads=8,
                relative_attention_num_buckets=32, dropout_rate=0.1, layer_norm_epsilon=1e-6, initializer_factor=1.0,
                is_encoder_decoder=True, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, n_positions=512)


def numbers(tensor: torch.Tensor) -> list[float]:
    return [float(f"{x:.7g}") for x in tensor.flatten().tolist()]


def rows(vocabulary: int, lengths: list[int], step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and a mask: examples of these lengths, padded to the longest on the right."""
    ids = torch.zeros((len(lengths), max(lengths)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = (torch.arange(length) * step + 3 + row * 11) % (vocabulary - 3) + 3
        mask[row, :length] = 1
    return ids, mask


def query_scale(config) -> float:
    """Multiplies the made weights of queries. T5 does not scale scores but begins with queries smaller by d_kv**-0.5; without
    that, wide heads are so sharp that f32 and f64 differ by 1e-4 in transformers itself.
    """
    return 0.125 if config.d_kv == 64 else 1.0


def load(model_class, config, with_head: bool):
    """A model with made weights, loaded as a user would; and the shapes of its checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        blank = model_class(config)
        # Tied tables are one on disk.
        names = {name: list(tensor.shape) for name, tensor in blank.state_dict().items()
                 if "embed_tokens" not in name and (with_head or name != "lm_head.weight")}
        weights = {name: torch.from_numpy(make(name, tuple(shape))) for name, shape in names.items()}
        weights |= {name: weights[name] * query_scale(config) for name in weights if name.endswith(".q.weight")}
        save_file(weights, f"{folder}/model.safetensors", metadata={"format": "pt"})
        config.save_pretrained(folder)
        model = model_class.from_pretrained(folder, attn_implementation="eager").eval()
    if with_head:
        assert not torch.equal(model.lm_head.weight, model.shared.weight)
    return model, names


def model_case(family: str, settings: dict, with_head: bool, lengths: dict, kept: int | None = None) -> dict:
    config = AutoConfig.for_model(family, **settings)
    model, shapes = load(type(AutoModelForSeq2SeqLM.from_config(config)), config, with_head)
    result = {"family": family, "config": dict(settings, model_type=family), "shapes": shapes,
              "queryScale": query_scale(config), "batches": {}}
    for name, (source, target) in lengths.items():
        ids, mask = rows(config.vocab_size, source, 7)
        decoder_ids, decoder_mask = rows(config.vocab_size, target, 5)
        decoder_ids[:, 0] = config.decoder_start_token_id
        inputs = dict(input_ids=ids, attention_mask=mask, decoder_input_ids=decoder_ids, decoder_attention_mask=decoder_mask)
        with torch.no_grad():
            out = model(**inputs, output_hidden_states=True)
            generated = model.generate(input_ids=ids, attention_mask=mask, do_sample=False, num_beams=1,
                                       max_new_tokens=9, eos_token_id=None)
        hidden = out.decoder_hidden_states[-1] * decoder_mask.unsqueeze(-1)
        targets = (decoder_ids * 3 + 1) % config.vocab_size
        logprobs = out.logits.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
        result["batches"][name] = {
            "inputs": {key: value.tolist() for key, value in inputs.items()},
            "hidden": numbers(hidden[:, -3:, :kept]), "hiddenShape": list(hidden[:, -3:, :kept].shape),
            "targets": targets.tolist(), "logprobs": numbers(logprobs), "best": out.logits.argmax(-1).tolist(),
            "generated": generated[:, 1:].tolist(),
        }
    return result


def encoder_case(model_class, family: str, settings: dict) -> dict:
    config = AutoConfig.for_model(family, **settings)
    model, shapes = load(model_class, config, False)
    ids, mask = rows(config.vocab_size, [4, 15, 9], 7)
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * weights).sum(1) / weights.sum(1)
    return {"family": family, "config": dict(settings, model_type=family), "shapes": shapes,
            "inputs": {"input_ids": ids.tolist(), "attention_mask": mask.tolist()},
            "vectors": numbers(torch.nn.functional.normalize(mean, p=2, dim=1))}


def buckets() -> list[dict]:
    cases = [(32, 128), (8, 12), (32, 256), (64, 512), (10, 100)]
    result = []
    for count, distance in cases:
        for bidirectional in (True, False):
            places = torch.arange(-distance, distance + 1)
            found = T5Attention._relative_position_bucket(places, bidirectional, count, distance)
            result.append({"buckets": count, "maxDistance": distance, "bidirectional": bidirectional,
                           "byDistance": found.tolist()})
    return result


def write(name: str, content) -> None:
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    padded = ([6, 3, 8], [4, 7, 2])
    for name, (family, settings, with_head) in CASES.items():
        write(name, model_case(family, settings, with_head, {"padded": padded, "one": ([5], [3]), "long": ([30], [26])}))
    write("t5-small", model_case("t5", dict(T5_SMALL), False, {"padded": padded, "long": ([150], [140])}, kept=16))
    write("encoders", [encoder_case(T5EncoderModel, "t5", CASES["t5"][1]), encoder_case(MT5EncoderModel, "mt5", CASES["mt5"][1])])
    write("buckets", buckets())
