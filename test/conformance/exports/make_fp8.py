"""Writes fp8.json: FP8 weights with scales, and what PyTorch makes of them.

The formula is DeepSeek-V3's weight_dequant and that of compressed-tensors: element times the scale of its block, row or
tensor, in float32. Made with torch 2.15.0.
"""

import base64
import json
from pathlib import Path

import torch

torch.manual_seed(7)


def text(tensor: torch.Tensor) -> str:
    return base64.b64encode(tensor.flatten().view(torch.uint8).numpy().tobytes()).decode()


def case(name, dtype, shape, scale_name, scale_shape, block=None, scale_dtype=torch.float32):
    weight = (torch.randn(shape) * 40).to(dtype)
    scale = (torch.rand(scale_shape) * 0.02 + 1e-4).to(scale_dtype)
    expanded = scale.float()
    if block is not None:
        expanded = expanded.repeat_interleave(block[0], -2)[..., : shape[-2], :]
        expanded = expanded.repeat_interleave(block[1], -1)[..., : shape[-1]]
    elif len(scale_shape) == 1 and scale_shape[0] > 1:
        expanded = expanded.unsqueeze(1)
    return {
        "name": name,
        "dtype": {torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2"}[dtype],
        "shape": list(shape),
        "bytes": text(weight),
        "scaleName": scale_name,
        "scaleDtype": {torch.float32: "F32", torch.bfloat16: "BF16"}[scale_dtype],
        "scaleShape": list(scale_shape),
        "scale": text(scale),
        "block": block,
        "expected": text(weight.float() * expanded),
    }


e4m3, e5m2 = torch.float8_e4m3fn, torch.float8_e5m2
cases = [
    case("blocks that do not divide the shape", e4m3, (40, 24), "weight_scale_inv", (3, 2), [16, 16]),
    case("blocks of the default size", e4m3, (130, 3), "weight_scale_inv", (2, 1), [128, 128]),
    case("blocks of experts in one tensor", e4m3, (2, 6, 5), "weight_scale_inv", (2, 2, 2), [4, 4]),
    case("blocks with scales in BF16", e5m2, (9, 10), "weight_scale", (3, 2), [4, 8], torch.bfloat16),
    case("one scale", e4m3, (5, 4), "weight_scale", ()),
    case("one scale, as a list", e5m2, (5, 4), "weight_scale", (1,)),
    case("one scale per row", e4m3, (5, 4), "weight_scale", (5, 1)),
    case("one scale per row, as a list", e4m3, (5, 4), "weight_scale", (5,), None, torch.bfloat16),
]
Path(__file__).with_name("fp8.json").write_text(json.dumps(cases, indent=1) + "\n")
