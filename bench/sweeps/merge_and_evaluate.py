"""What a sweep is without Amalgam: mergekit merges to disk, transformers loads, PyTorch evaluates; again and again.

One process that stays, with its imports done and the models in the page cache. Reads a job as JSON from stdin, prints a
line for each recipe and a last one for all. With a "checkpoint" instead of recipes it loads and evaluates that one only, as
the second of two commands does of which the first is mergekit's own.
"""

import contextlib
import importlib.metadata
import json
import os
import resource
import shutil
import sys
import time

import torch
import transformers
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from safetensors.torch import load_file, save_file

BATCH_SIZES = (16, 64, 256)


def rename(source, target):
    """mergekit finds the layers of an architecture that it has no table of by the names that transformers has for them."""
    model = transformers.AutoModelForImageClassification.from_pretrained(source, dtype=torch.bfloat16)
    os.makedirs(target, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, os.path.join(target, "model.safetensors"), metadata={"format": "pt"})
    shutil.copy(os.path.join(source, "config.json"), target)


def load(checkpoint):
    return transformers.AutoModelForImageClassification.from_pretrained(checkpoint, dtype=torch.float32).eval()


def accuracy(model, task, batch_size):
    batches = task["pixel_values"].float().split(batch_size)
    predicted = torch.cat([model(pixel_values=batch).logits.argmax(-1) for batch in batches])
    return (predicted == task["labels"]).float().mean().item()


def timed(act):
    started = time.perf_counter()
    result = act()
    return result, time.perf_counter() - started


def fastest_batch_size(model, tasks):
    task = next(iter(tasks.values()))
    sizes = [size for i, size in enumerate(BATCH_SIZES) if i == 0 or size <= 2 * len(task["labels"])]
    accuracy(model, task, sizes[0])
    return min(sizes, key=lambda size: timed(lambda: accuracy(model, task, size))[1])


def attempt(recipe, output, tasks, batch_size):
    options = MergeOptions(copy_tokenizer=False, write_model_card=False, quiet=True)
    configuration = MergeConfiguration.model_validate(yaml.safe_load(recipe))
    _, merge = timed(lambda: run_merge(configuration, output, options))
    model, loading = timed(lambda: load(output))
    found, run = timed(lambda: {name: accuracy(model, task, batch_size) for name, task in tasks.items()})
    shutil.rmtree(output)
    return {"merge": merge, "load": loading, "run": run, "accuracy": found}


def main():
    job = json.load(sys.stdin)
    torch.set_num_threads(job["threads"])
    torch.set_grad_enabled(False)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for source, target in job.get("models", []):
        rename(source, target)
    tasks = {name: load_file(file) for name, file in job["tasks"].items()}
    if "checkpoint" in job:
        model = load(job["checkpoint"])
        print(json.dumps({name: accuracy(model, task, job["batchSize"]) for name, task in tasks.items()}))
        return
    batch_size = fastest_batch_size(load(job["models"][0][1]), tasks)
    # The first merge fills mergekit's caches.
    with contextlib.redirect_stdout(sys.stderr):
        attempt(job["recipes"][0], job["output"], tasks, batch_size)
    started = time.perf_counter()
    for recipe in job["recipes"]:
        with contextlib.redirect_stdout(sys.stderr):
            found = attempt(recipe, job["output"], tasks, batch_size)
        print(json.dumps(found), flush=True)
    seconds_each = (time.perf_counter() - started) / len(job["recipes"])
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    version = importlib.metadata.version("mergekit")
    versions = f"mergekit {version}, transformers {transformers.__version__}, PyTorch {torch.__version__}"
    print(json.dumps({"secondsEach": seconds_each, "peakBytes": peak, "versions": versions, "batchSize": batch_size}))


main()
