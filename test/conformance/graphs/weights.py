"""Weights that need not be committed: each is a function of its name and index, here and in test/support/made-weights.ts.

Element i of the tensor with a name is murmur3's finalizer of crc32(name) + i * 0x9E3779B1, as a number in [-1, 1), times
a spread: sqrt(3 / last dimension) for matrices, which keeps activations near 1, and 0.2 for vectors. One is added to a
vector that is a norm's weight.
"""

import zlib

import numpy as np


def make(name: str, shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape, dtype=np.int64))
    with np.errstate(over="ignore"):
        h = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(zlib.crc32(name.encode()))
        h ^= h >> np.uint32(16)
        h *= np.uint32(0x85EBCA6B)
        h ^= h >> np.uint32(13)
        h *= np.uint32(0xC2B2AE35)
        h ^= h >> np.uint32(16)
    unit = h.astype(np.float64) / 2**31 - 1
    if len(shape) >= 2:
        values = unit * np.sqrt(3 / shape[-1])
    else:
        values = unit * 0.2 + (1 if name.endswith("norm.weight") or "LayerNorm.weight" in name else 0)
    return values.astype(np.float32).reshape(shape)


def fill(model) -> dict[str, list[int]]:
    """Gives a torch model made weights, as its checkpoint on disk names them; returns names and shapes.

    Works through the state dict: for models whose checkpoint has other names than the module (fused experts), save and
    reload with weights made by the names on disk instead.
    """
    import torch

    shapes = {}
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.dtype.is_floating_point:
                continue
            tensor.copy_(torch.from_numpy(make(name, tuple(tensor.shape))))
            shapes[name] = list(tensor.shape)
    return shapes
