"""Gives mergekit's DARE and DELLA our masks in place of its dice."""

import hashlib
from contextlib import contextmanager
from pathlib import Path

import mergekit.sparsify
import numpy as np
import torch

from making.weights import load_model, rng_for


def digest(tensor):
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


@contextmanager
def supplied_masks(case, recipe):
    """Yields the masks, by "model/tensor", once a merge is over.

    mergekit rolls its dice with one torch.bernoulli call inside mergekit.sparsify.bernoulli.
    The call is replaced; everything around it (the product, the rescaling) stays mergekit's own.
    The delta handed to it tells which model and tensor it is for.
    """
    base_path = recipe["base_model"]
    base = load_model(Path(base_path))
    owners = {}
    for path in {m["model"] for m in recipe["models"]} - {base_path}:
        for name, tensor in load_model(Path(path)).items():
            owners[digest(tensor - base[name])] = f"{Path(path).name}/{name}"

    masks = {}
    this_call = None
    real_sparsifiers, real_dice = [mergekit.sparsify.bernoulli, mergekit.sparsify.della_magprune], torch.bernoulli

    def for_this_delta(sparsifier):
        def wrapped(delta, density, *args, **kwargs):
            nonlocal this_call
            owner = owners[digest(delta)]
            this_call = owner, delta.shape
            masks[owner] = torch.ones(delta.shape, dtype=torch.uint8)  # unless there are dice
            return sparsifier(delta, density, *args, **kwargs)

        return wrapped

    def dice(probabilities):
        # DELLA's probabilities differ from element to element, DARE's do not. DELLA makes one row of a vector.
        owner, shape = this_call
        draw = rng_for(case, owner).random(tuple(shape))
        masks[owner] = torch.from_numpy((draw < probabilities.reshape(shape).double().numpy()).astype(np.uint8))
        return masks[owner].reshape(probabilities.shape).to(probabilities.dtype)

    mergekit.sparsify.bernoulli, mergekit.sparsify.della_magprune = map(for_this_delta, real_sparsifiers)
    torch.bernoulli = dice
    try:
        yield masks
    finally:
        mergekit.sparsify.bernoulli, mergekit.sparsify.della_magprune = real_sparsifiers
        torch.bernoulli = real_dice
