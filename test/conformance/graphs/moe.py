"""Goldens of mixtures of experts: as decoders.py, whose fields these have, for models that are read from disk.

    python moe.py            writes moe/<model_type>.json

transformers joins the experts of a layer as it reads them. So a checkpoint is written in its own layout, with made weights
under the names on disk, and read again; a name that is missing, or that nothing reads, is an error.

The models are in moe_cases.py.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save_file

from decoders import random_model, write
from moe_cases import CASES
from weights import make


def model_from_disk(config, wanted):
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.safetensors"
        model = random_model(config, wanted)
        model.save_pretrained(folder)
        shapes = {name: list(tensor.shape) for name, tensor in load_file(file).items()}
        made = {name: torch.from_numpy(make(name, tuple(shape))) for name, shape in shapes.items()}
        save_file(made, file, metadata={"format": "pt"})
        model, info = type(model).from_pretrained(folder, attn_implementation="eager", output_loading_info=True)
    problems = {key: found for key, found in info.items() if found}
    assert not problems, problems
    return model.eval().float(), shapes


if __name__ == "__main__":
    write(CASES, Path(__file__).parent / "moe", model_from_disk)
