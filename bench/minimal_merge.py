"""A merge as one would write it by hand with NumPy or PyTorch: the least that gives the same model.

usage: minimal_merge.py {numpy|torch} {linear|ties} OUTPUT FILE...    (for ties the first file is the base)
"""

import json
import struct
import sys

WEIGHT = 0.3
DENSITY = 0.5


def open_model(path):
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def numpy_library():
    import numpy as np

    def read(path, offset, count):
        bits = np.fromfile(path, np.uint16, count, offset=offset)
        return (bits.astype(np.uint32) << 16).view(np.float32)

    def to_bytes(x):
        bits = x.view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)

    def keep_largest(x):
        kept = int(DENSITY * x.size)
        magnitude = np.abs(x)
        smallest = np.partition(magnitude, x.size - kept)[x.size - kept]
        return np.where(magnitude >= smallest, x, 0)

    return np, read, to_bytes, keep_largest


def torch_library():
    import torch

    def read(path, offset, count):
        with open(path, "rb") as file:
            file.seek(offset)
            return torch.frombuffer(bytearray(file.read(2 * count)), dtype=torch.bfloat16).float()

    def to_bytes(x):
        return x.bfloat16().view(torch.uint8).numpy()

    def keep_largest(x):
        kept = int(DENSITY * x.numel())
        magnitude = x.abs()
        smallest = magnitude.kthvalue(x.numel() - kept + 1).values
        return torch.where(magnitude >= smallest, x, 0)

    return torch, read, to_bytes, keep_largest


def linear(tensors, _library, _keep_largest):
    merged = tensors[0] * WEIGHT
    for tensor in tensors[1:]:
        merged += tensor * WEIGHT
    return merged / (WEIGHT * len(tensors))


def ties(tensors, library, keep_largest):
    base, *others = tensors
    deltas = [keep_largest(tensor - base) * WEIGHT for tensor in others]
    elected = sum(deltas) >= 0
    one = library.ones_like(base[:1])
    agreeing = [library.where((delta != 0) & ((delta > 0) == elected), delta, 0 * one) for delta in deltas]
    weights = sum(library.where(delta != 0, one * WEIGHT, 0 * one) for delta in agreeing)
    return base + sum(agreeing) / library.where(weights == 0, one, weights)


def main():
    library_name, method, output, *paths = sys.argv[1:]
    library, read, to_bytes, keep_largest = numpy_library() if library_name == "numpy" else torch_library()
    merge = linear if method == "linear" else ties
    models = [open_model(path) for path in paths]
    header, start = models[0]
    with open(paths[0], "rb") as template, open(output, "wb") as file:
        file.write(template.read(start))
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            tensors = []
            for path, (tensor_of, data) in zip(paths, models):
                begin, end = tensor_of[name]["data_offsets"]
                tensors.append(read(path, data + begin, (end - begin) // 2))
            file.write(to_bytes(merge(tensors, library, keep_largest)))


main()
