"""Runs the real mergekit on tiny checkpoints and keeps its numbers.

    python -m venv venv
    venv/bin/pip install -r requirements.txt
    venv/bin/python make_goldens.py            # everything, in seconds
    venv/bin/python make_goldens.py ties_three # only the named cases

What it writes, beside this file (all of it is committed):

    models*/, adapters/             tiny checkpoints: bases, variants of them, and LoRAs
    cases/<name>/golden.safetensors what mergekit makes of cases/<name>/recipe.yaml, with its config.json
    cases/<name>/masks.safetensors  for cases named *_masked: the masks that DARE or DELLA was given
    cases/<name>/tokenizer.json     for recipes that make a tokenizer
    moe-cases/<name>/               the same of config.yaml, by mergekit-moe
    explicit.json                   short vectors in and out, to read and to debug with
    cases.md                        the list of cases

The recipes are the source: to add a case, write cases/<name>/recipe.yaml and run this.
A second run writes the same bytes. README.md says with which versions. check_goldens.py holds
the result against formulas written down independently of mergekit.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import yaml
from mergekit.config import MergeConfiguration
from mergekit.graph import Executor
from mergekit.io.tasks import LoaderCache
from mergekit.merge import run_merge
from mergekit.moe.config import MoEMergeConfig
from mergekit.options import MergeOptions
from mergekit.scripts import multimerge
from mergekit.scripts.moe import build as build_moe
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

from making import experts
from making.checkpoints import make_models
from making.index import write_index
from making.masks import supplied_masks
from making.short_vectors import make_explicit
from making.weights import load_model

HERE = Path(__file__).resolve().parent


def resolve_models(node, folder):
    """The recipe with its model paths, relative to the recipe, made relative to this folder."""
    if isinstance(node, list):
        return [resolve_models(item, folder) for item in node]
    if isinstance(node, dict):
        return {key: resolve_models(value, folder) for key, value in node.items()}
    if not isinstance(node, str) or not node.startswith("../"):
        return node
    return "+".join(os.path.relpath(folder / path, HERE) for path in node.split("+"))


def in_order_of_appearance(config):
    """Stands in for MergeConfiguration.referenced_models, whose order, that of a set, changes from run to run.

    The first of it gives the output its config, and the order decides in which order a union meets new tokens. Here the
    base comes first, then the models as the recipe names them: one of the orders that mergekit could have taken.
    """
    models = [config.base_model] if config.base_model else []
    models += [m.model for m in config.models or []]
    slices = list(config.slices or [])
    for module in (config.modules or {}).values():
        models += [m.model for m in module.models or []]
        slices += module.slices or []
    models += [source.model for piece in slices for source in piece.sources]
    return list(dict.fromkeys(models))


def by_number(get_vocab):
    """get_vocab with its tokens in the order of their numbers.

    The library's own order changes from process to process, and with it the numbers that a union gives to new tokens.
    """
    return lambda tokenizer: dict(sorted(get_vocab(tokenizer).items(), key=lambda item: item[1]))


def run_mergekit(documents, out):
    """Merges, and gives the folder of the result. Several documents are run as mergekit-multi runs them."""
    options = MergeOptions(
        copy_tokenizer=False, write_model_card=False, quiet=True, lora_merge_cache=str(out / "adapters-merged")
    )
    merged = out / "merged"
    LoaderCache.loaders.clear()
    if len(documents) == 1 and "name" not in documents[0]:
        run_merge(MergeConfiguration.model_validate(documents[0]), str(merged), options)
        return merged
    stages = out / "stages"
    configs, dependencies = multimerge.load_config(yaml.safe_dump_all(documents), str(stages))
    tasks = multimerge.make_tasks(configs, dependencies, options, str(stages), str(merged), lazy=False)
    Executor(tasks, math_device="cpu", storage_device="cpu").execute()
    return merged


# Of what mergekit writes beside the tensors, what can be compared. The last two only come of a tokenizer in the recipe.
COMPANIONS = ["config.json", "tokenizer.json", "chat_template.jinja"]


def keep(merged, folder, architecture=None):
    """Copies a merge into the case's folder, its experts in the layout that checkpoints have."""
    tensors = load_model(merged)
    apart = experts.unfused(tensors)
    if architecture == "MixtralForCausalLM":
        apart = experts.named_as_mixtral(apart)
    if apart.keys() != tensors.keys():
        save_file(apart, merged / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(merged / "model.safetensors", folder / "golden.safetensors")
    for file in COMPANIONS:
        (folder / file).unlink(missing_ok=True)
        if (merged / file).exists():
            shutil.copyfile(merged / file, folder / file)


def make_case(folder):
    documents = list(yaml.safe_load_all((folder / "recipe.yaml").read_text()))
    documents = [resolve_models(document, folder) for document in documents]
    with tempfile.TemporaryDirectory() as out:
        if folder.name.endswith("_masked"):
            with supplied_masks(folder.name, documents[0]) as masks:
                merged = run_mergekit(documents, Path(out))
            save_file(masks, folder / "masks.safetensors")
        else:
            merged = run_mergekit(documents, Path(out))
        keep(merged, folder)


def make_moe_case(folder):
    """Runs mergekit-moe."""
    config = MoEMergeConfig.model_validate(resolve_models(yaml.safe_load((folder / "config.yaml").read_text()), folder))
    with tempfile.TemporaryDirectory() as out:
        build_moe(config, out, MergeOptions(copy_tokenizer=False, write_model_card=False, quiet=True))
        architecture = json.loads((Path(out) / "config.json").read_text())["architectures"][0]
        keep(Path(out), folder, architecture)


def main(only):
    torch.set_num_threads(1)  # one order of summation, whatever the machine
    os.chdir(HERE)
    MergeConfiguration.referenced_models = in_order_of_appearance
    PreTrainedTokenizerFast.get_vocab = by_number(PreTrainedTokenizerFast.get_vocab)
    if not only:
        make_models(HERE)
        make_explicit(HERE / "explicit.json")
        write_index(HERE)
    for folder in sorted((HERE / "cases").iterdir()):
        if not only or folder.name in only:
            print(folder.name)
            make_case(folder)
    for folder in sorted((HERE / "moe-cases").iterdir()):
        if not only or folder.name in only:
            print(folder.name)
            make_moe_case(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
