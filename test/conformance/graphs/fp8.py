"""Goldens of decoders whose linear layers are stored in FP8: as decoders.py, whose fields these have.

    python fp8.py            writes fp8/<model_type>.json

A linear layer's weight is stored as 256 times the made weight, rounded to E4M3, and scales near 1/256: one for each block
("<weight>_scale_inv"), or one for all ("<weight>_scale"). The model computes in FP32, with the product of the two.
"""

from pathlib import Path

import torch
from torch import nn

from decoders import random_model, write
from decoders_cases import TINY
from weights import fill, make

# Two blocks along each dimension, of which the second is cut short.
SIZES = {**TINY, "hidden_size": 144, "intermediate_size": 200, "head_dim": 36}
BLOCKS = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}

CASES = [
    ("blocks", {"model_type": "llama", **SIZES, "quantization_config": BLOCKS}, [7, 4], "left", "tokens"),
    (
        "smaller blocks",
        {
            "model_type": "llama",
            **SIZES,
            "num_hidden_layers": 1,
            "quantization_config": {**BLOCKS, "weight_block_size": [64, 32]},
        },
        [7, 4],
        "right",
        "tokens",
    ),
    (
        "one scale for a tensor",
        {"model_type": "llama", **SIZES, "num_hidden_layers": 1, "quantization_config": {"quant_method": "fp8"}},
        [7, 4],
        "left",
        "generate",
    ),
]


def made_scale(name, shape):
    return (1 + torch.from_numpy(make(name, shape)).abs()) / 256


def dequantized_model(config, wanted):
    quantization = config["quantization_config"]
    model = random_model({key: value for key, value in config.items() if key != "quantization_config"}, wanted)
    shapes = fill(model)
    for name, module in model.named_modules():
        if not isinstance(module, nn.Linear) or name == "lm_head":
            continue
        weight = module.weight.data
        stored = (weight * 256).to(torch.float8_e4m3fn).float()
        block = quantization.get("weight_block_size")
        if block is None:
            shape, suffix = (1,), "_scale"
            scale = made_scale(f"{name}.weight{suffix}", shape)
        else:
            shape, suffix = tuple(-(-size // of) for size, of in zip(weight.shape, block)), "_scale_inv"
            scale = made_scale(f"{name}.weight{suffix}", shape)
            for axis, of in enumerate(block):
                scale = scale.repeat_interleave(of, axis)
            scale = scale[: weight.shape[0], : weight.shape[1]]
        module.weight.data = stored * scale
        shapes[f"{name}.weight{suffix}"] = list(shape)
    return model, shapes


if __name__ == "__main__":
    write(CASES, Path(__file__).parent / "fp8", dequantized_model)
