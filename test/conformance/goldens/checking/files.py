"""Reading safetensors, adapters and vocabularies with numpy alone."""

import json
from dataclasses import dataclass, field

import numpy as np

DTYPES = {"F32": np.float32, "F16": np.float16, "U8": np.uint8, "BF16": np.uint16, "I64": np.int64}


def read_safetensors(path):
    """Tensors by name as (dtype, array); bf16 widened to float32."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, info in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        begin, end = info["data_offsets"]
        array = np.frombuffer(data[start + begin : start + end], DTYPES[info["dtype"]]).reshape(info["shape"])
        if info["dtype"] == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = (info["dtype"], array)
    return tensors


def read_json(path):
    return json.loads(path.read_text())


@dataclass
class Checkpoint:
    """A model: its config, its tensors as (dtype, float64 array), and its tokens' numbers where it has a tokenizer."""

    config: dict
    tensors: dict
    vocabulary: dict = field(default_factory=dict)
    added: tuple = ()


def read_checkpoint(folder):
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= read_safetensors(file)
    tensors = {name: (dtype, array.astype(np.float64)) for name, (dtype, array) in tensors.items()}
    vocabulary, added = {}, ()
    if (folder / "tokenizer.json").exists():
        vocabulary, added = read_vocabulary(folder / "tokenizer.json")
    return Checkpoint(read_json(folder / "config.json"), tensors, vocabulary, added)


def read_vocabulary(path):
    """Numbers by token, in the order of the numbers, and the added tokens, in that order."""
    text = read_json(path)
    added = sorted(text["added_tokens"], key=lambda token: token["id"])
    tokens = text["model"]["vocab"] | {token["content"]: token["id"] for token in added}
    return dict(sorted(tokens.items(), key=lambda item: item[1])), tuple(token["content"] for token in added)


def with_adapter(model, folder):
    """The model with a LoRA merged into it: W + scale * B A."""
    settings = read_json(folder / "adapter_config.json")
    adapter = {n: a.astype(np.float64) for n, (_, a) in read_safetensors(folder / "adapter_model.safetensors").items()}

    def pattern(key, module, default):
        hits = [v for p, v in settings[key].items() if module == p or module.endswith("." + p)]
        return hits[0] if hits else default

    tensors = dict(model.tensors)
    for name in model.tensors:
        module = name.removesuffix(".weight")
        prefix = f"base_model.model.{module}"
        dtype, values = tensors[name]
        if f"{prefix}.weight" in adapter:
            tensors[name] = dtype, adapter[f"{prefix}.weight"]
        for a, b, flip in [("lora_A.weight", "lora_B.weight", settings["fan_in_fan_out"]),
                           ("lora_embedding_A", "lora_embedding_B", True)]:
            if f"{prefix}.{a}" in adapter:
                rank = pattern("rank_pattern", module, settings["r"])
                scale = pattern("alpha_pattern", module, settings["lora_alpha"])
                scale /= np.sqrt(rank) if settings["use_rslora"] else rank
                product = adapter[f"{prefix}.{b}"] @ adapter[f"{prefix}.{a}"]
                tensors[name] = dtype, values + scale * (product.T if flip else product)
    return Checkpoint(model.config, tensors, model.vocabulary, model.added)


# --- rounding --------------------------------------------------------------

SHORT = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
MANTISSA = {"BF16": 8, "F16": 11, "F32": 24}


def bf16_bits(x):
    """Rounded to nearest, ties to even, as the upper half of a float32."""
    bits = np.asarray(x).astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.int64)


def rounded(x, dtype):
    """The nearest values of the dtype, as doubles."""
    if dtype == "BF16":
        return (bf16_bits(x).astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return np.asarray(x).astype(DTYPES[dtype]).astype(np.float64)


def widest(dtypes):
    """What torch promotes these to."""
    kinds = set(dtypes)
    return kinds.pop() if len(kinds) == 1 else "F32"


def steps_apart(x, y, dtype):
    """How many values of a 16-bit dtype lie between, after rounding."""
    as_bits = bf16_bits if dtype == "BF16" else lambda v: v.astype(np.float16).view(np.uint16).astype(np.int64)
    ordered = lambda bits: np.where(bits & 0x8000, -(bits & 0x7FFF), bits)
    return np.abs(ordered(as_bits(x)) - ordered(as_bits(y)))
