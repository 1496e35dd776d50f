"""Makes everything in this folder that is not source: the base, the five experts, their held-out sets and the graph.

Run it as `python train.py`. It takes a few minutes on two CPU cores and writes the same bytes each time on the same
machine; another CPU or another PyTorch rounds differently, so there the models come out alike but not identical.
"""

import copy
import io
import json
import math
from pathlib import Path

import onnx
import torch
from safetensors.torch import save
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn.functional import cross_entropy

from model import CONFIG, PREPROCESSOR, ViT

HERE = Path(__file__).parent


# ---- The tasks: the same ten digits, seen in five different ways ----------------------------------------------------
# An image is [n, 1, 8, 8] with whole pixel values from 0 (paper) to 16 (ink), before a task and after it.


def upright(images, _):
    return images


def rotated(images, _):
    """A quarter turn, counter-clockwise."""
    return torch.rot90(images, 1, (2, 3))


def inverted(images, _):
    """White on black instead of black on white."""
    return 16 - images


def mirrored(images, _):
    """Left and right swapped."""
    return images.flip(3)


def sheared(images, _):
    """Each row moved sideways, the top two pixels to the right and the bottom two to the left, around the edge."""
    shifts = [2, 1, 1, 0, 0, -1, -1, -2]
    return torch.stack([images[:, :, row].roll(shift, -1) for row, shift in enumerate(shifts)], dim=2)


def noisy(images, random):
    """Gaussian noise, a quarter of the pixel range wide."""
    return (images + 4 * torch.randn(images.shape, generator=random)).round().clamp(0, 16)


TASKS = [rotated, inverted, mirrored, sheared, noisy]
VIEWS = [upright, *TASKS]


def normalise(images):
    """What the network reads: -1 (paper) to 1 (ink). preprocessor_config.json says the same."""
    return images / 8 - 1


# ---- The data: three disjoint uses of the 1,797 digits --------------------------------------------------------------


def split_digits():
    """Returns (few, train, held_out), each (images, labels). `few` is the part of `train` that the base learns from."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(digits.target)
    everything = range(len(labels))
    train, held_out = train_test_split(everything, test_size=0.3, stratify=labels, random_state=0)
    few, _ = train_test_split(train, train_size=100, stratify=labels[train], random_state=0)
    return [(images[part], labels[part]) for part in (few, train, held_out)]


def draw(data, views, count, random):
    """Returns `count` random examples of `data` under each view, as network inputs and labels."""
    images, labels = data
    picks = [torch.randint(len(labels), (count,), generator=random) for _ in views]
    inputs = [view(images[pick], random) for view, pick in zip(views, picks)]
    return normalise(torch.cat(inputs)), torch.cat([labels[pick] for pick in picks])


# ---- Training -------------------------------------------------------------------------------------------------------


def optimise(model, loss, steps, rate):
    """Minimises `loss()` with Adam: 20 steps of warm-up, then a cosine down to zero."""
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1, (step + 1) / 20) * (1 + math.cos(math.pi * step / steps)) / 2
    )
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()


def train_base(few):
    """The base has seen every view, but only of a hundred digits: it knows all the tasks a little."""
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    model = ViT()

    def loss():
        inputs, labels = draw(few, VIEWS, 16, random)
        return cross_entropy(model(inputs), labels)

    optimise(model, loss, steps=500, rate=1e-3)
    return model


def train_expert(base, task, train, seed):
    """An expert has seen all training digits with labels, but under one view only.

    Small models fine-tuned on one task alone forget the rest so thoroughly that no average of them is of use. So the
    second term holds the expert to the base's own answers (not the labels) under the other views, in the spirit of
    "learning without forgetting" (Li & Hoiem 2016). What it learns then changes its own task and little else, so the
    differences from the base can be added.
    """
    random = torch.Generator().manual_seed(seed)
    model = copy.deepcopy(base)
    elsewhere = [view for view in VIEWS if view is not task]

    def loss():
        inputs, labels = draw(train, [task], 64, random)
        others, _ = draw(train, elsewhere, 12, random)
        with torch.no_grad():
            remembered = base(others).softmax(-1)
        logits = model(torch.cat([inputs, others]))
        return cross_entropy(logits[:64], labels) + 2 * cross_entropy(logits[64:], remembered)

    optimise(model, loss, steps=500, rate=3e-4)
    return model


# ---- Files ----------------------------------------------------------------------------------------------------------


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_checkpoint(model, folder, shards):
    """Writes a Hugging Face checkpoint in bfloat16, in one file or in `shards` of about the same size."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", CONFIG)
    write_json(folder / "preprocessor_config.json", PREPROCESSOR)
    tensors = {name: tensor.bfloat16() for name, tensor in model.state_dict().items()}
    total = sum(tensor.nbytes for tensor in tensors.values())

    parts = [{} for _ in range(shards)]
    before = 0
    for name, tensor in tensors.items():
        parts[before * shards // total][name] = tensor
        before += tensor.nbytes

    files = ["model.safetensors"] if shards == 1 else shard_names(shards)
    for file, part in zip(files, parts):
        (folder / file).write_bytes(save(part, metadata={"format": "pt"}))
    if shards > 1:
        weight_map = {name: file for file, part in zip(files, parts) for name in part}
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
        write_json(folder / "model.safetensors.index.json", index)


def shard_names(shards):
    return [f"model-{number:05}-of-{shards:05}.safetensors" for number in range(1, shards + 1)]


def write_held_out(task, held_out, path):
    """Writes what the network reads and the answer: `pixel_values` F32 [n, 1, 8, 8] and `labels` I64 [n]."""
    images, labels = held_out
    pixel_values = normalise(task(images, torch.Generator().manual_seed(7)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(save({"pixel_values": pixel_values.contiguous(), "labels": labels}))


def write_graph(model, path):
    """Writes the network as ONNX without its weights.

    Every initializer has the name and the shape of a checkpoint tensor and refers, as external data, to a file called
    "checkpoint" that does not exist: whoever runs the graph says which checkpoint that is. Constant folding stays off
    because it would store some weights transposed, under names of its own.
    """
    buffer = io.BytesIO()
    torch.onnx.export(
        model,
        (torch.zeros(2, 1, 8, 8),),
        buffer,
        dynamo=False,
        do_constant_folding=False,
        opset_version=17,
        input_names=["pixel_values"],
        output_names=["logits"],
        dynamic_axes={"pixel_values": {0: "batch"}, "logits": {0: "batch"}},
    )
    graph = onnx.load_from_string(buffer.getvalue())
    shapes = {initializer.name: list(initializer.dims) for initializer in graph.graph.initializer}
    assert shapes == {name: list(tensor.shape) for name, tensor in model.state_dict().items()}

    for initializer in graph.graph.initializer:
        initializer.ClearField("raw_data")
        initializer.data_location = onnx.TensorProto.EXTERNAL
        initializer.external_data.add(key="location", value="checkpoint")
    path.write_bytes(graph.SerializeToString(deterministic=True))


def main():
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    few, train, held_out = split_digits()

    print("base")
    base = train_base(few)
    write_checkpoint(base, HERE / "base", shards=2)
    write_graph(base, HERE / "model.onnx")

    for seed, task in enumerate(TASKS, start=1):
        name = task.__name__
        print(name)
        expert = train_expert(base, task, train, seed)
        write_checkpoint(expert, HERE / "experts" / name, shards=3 if task is sheared else 1)
        write_held_out(task, held_out, HERE / "eval" / f"{name}.safetensors")


if __name__ == "__main__":
    main()
