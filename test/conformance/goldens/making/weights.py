"""Random weights that are the same every time, changes to them, and checkpoints on disk."""

import json
import shutil
import zlib

import numpy as np
import torch
from safetensors.torch import load_file, save_file

SEED = 20260617


def rng_for(*words):
    """A generator of its own for each purpose, so that adding one disturbs no other."""
    return np.random.default_rng([SEED, *(zlib.crc32(w.encode()) for w in words)])


def base_tensor(name, shape):
    noise = rng_for("base", name).standard_normal(shape)
    values = 1 + 0.1 * noise if len(shape) == 1 else 0.08 * noise
    return values.astype(np.float32)


def dense(rng, shape):
    """A full fine-tune: every weight moves a little."""
    return 0.02 * rng.standard_normal(shape)


def low_rank(rng, shape):
    """A merged adapter: rank two, over a faint dense change."""
    faint = 0.002 * rng.standard_normal(shape)
    if len(shape) == 1:
        return faint
    return faint + 0.02 * rng.standard_normal((shape[0], 2)) @ rng.standard_normal((2, shape[1]))


def heavy_tailed(rng, shape):
    """A few weights move far, most hardly at all."""
    return 0.005 * np.clip(rng.standard_t(1.5, shape), -25, 25)


def variant_tensor(model, change, name, base):
    """base + change, such that no delta is zero and no two have the same magnitude.

    mergekit's sort is not stable, so equal magnitudes would leave to chance which are trimmed.
    """
    rng = rng_for(model, name)
    result = (base + change(rng, base.shape)).astype(np.float32)
    while True:
        magnitude = np.abs(result - base).ravel()
        _, first, count = np.unique(magnitude, return_index=True, return_counts=True)
        repeated = np.ones(magnitude.size, bool)
        repeated[first] = False
        repeated |= magnitude == 0
        if not repeated.any():
            return result
        redrawn = result + change(rng, base.shape).astype(np.float32)
        result = np.where(repeated.reshape(base.shape), redrawn, result)


def nearly_parallel(rng, base):
    """1.5 degrees from the base in every tensor: close enough for slerp to go straight, far enough to see that it did."""
    base = base.astype(np.float64)
    sideways = rng.standard_normal(base.shape)
    sideways -= base * (sideways * base).sum() / (base * base).sum()
    sideways *= np.linalg.norm(base) / np.linalg.norm(sideways)
    return (base + np.tan(np.deg2rad(1.5)) * sideways).astype(np.float32)


def break_tie(base, tuned, density):
    """Moves a few bf16 weights one step further from the base, so that trimming is unambiguous.

    bf16 deltas often share a magnitude. Only one tie matters: that between the last one kept and the first trimmed.
    """
    delta = (tuned.float() - base.float()).ravel()
    magnitude = delta.abs()
    keep = int(density * magnitude.numel())
    threshold = magnitude.sort(descending=True).values[keep - 1]
    tied = (magnitude == threshold).nonzero().ravel()
    still_wanted = keep - int((magnitude > threshold).sum())
    if still_wanted == len(tied):
        return tuned
    bits = tuned.clone().ravel().view(torch.int16)
    for i in tied[:still_wanted]:
        bits[i] += 1 if (delta[i] >= 0) == (tuned.ravel()[i] > 0) else -1
    return bits.view(torch.bfloat16).reshape(tuned.shape)


def write_model(folder, tensors, config, shards=1):
    """Writes a checkpoint in the Hugging Face layout, its tensors dealt out over the shards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    dtype = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    write_json(folder / "config.json", {**config, "torch_dtype": dtype})
    names = sorted(tensors)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    weight_map = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        mine = names[shard::shards]
        save_file({n: tensors[n] for n in mine}, folder / file, metadata={"format": "pt"})
        weight_map |= {n: file for n in mine}
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": {n: weight_map[n] for n in names}}
    write_json(folder / "model.safetensors.index.json", index)


def load_model(folder):
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    return tensors


def in_torch(tensors):
    return {n: torch.from_numpy(t) for n, t in tensors.items()}


def write_json(path, value):
    path.write_text(one_line_leaves(value) + "\n")


def one_line_leaves(value, indent=0):
    """JSON with lists of plain values on one line each."""
    pad = "  " * (indent + 1)
    if isinstance(value, dict) and value:
        items = [f"{pad}{json.dumps(k)}: {one_line_leaves(v, indent + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + pad[2:] + "}"
    if isinstance(value, list) and any(isinstance(v, (dict, list)) for v in value):
        items = [pad + one_line_leaves(v, indent + 1) for v in value]
        return "[\n" + ",\n".join(items) + "\n" + pad[2:] + "]"
    return json.dumps(value)
