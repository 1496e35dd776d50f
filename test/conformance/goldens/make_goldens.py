"""Runs the real mergekit on tiny checkpoints and keeps its numbers.

    python -m venv venv
    venv/bin/pip install -r requirements.txt
    venv/bin/python make_goldens.py            # everything, in seconds
    venv/bin/python make_goldens.py ties_three # only the named cases

What it writes, beside this file (all of it is committed):

    models/, models-bf16/           tiny Llama checkpoints: a base and variants of it
    cases/<name>/golden.safetensors what mergekit makes of cases/<name>/recipe.yaml
    cases/<name>/masks.safetensors  for cases named *_masked: the masks DARE was given
    explicit.json                   short vectors in and out, to read and to debug with

The recipes are the source: to add a case, write cases/<name>/recipe.yaml and run this.
A second run writes the same bytes. Made with Python 3.11.7, mergekit 0.1.5, torch 2.15.0
(on a CPU), transformers 5.23.0, safetensors 0.8.0, numpy 2.4.6. check_goldens.py holds
the result against formulas written down independently of mergekit.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import yaml
from safetensors.torch import load_file, save_file

import mergekit.sparsify
from mergekit.config import MergeConfiguration, evaluate_setting
from mergekit.merge import run_merge
from mergekit.merge_methods import registry
from mergekit.merge_methods.base import TensorGroup
from mergekit.merge_methods.generalized_task_arithmetic import get_mask
from mergekit.merge_methods.slerp import slerp
from mergekit.options import MergeOptions
from mergekit.sparsify import RescaleNorm, SparsificationMethod, sparsify

HERE = Path(__file__).resolve().parent
SEED = 20260617

# ---------------------------------------------------------------------------
# The checkpoints
# ---------------------------------------------------------------------------

# Sizes that are awkward on purpose: few are a multiple of 4, 8 or 16.
VOCAB, HIDDEN, INTERMEDIATE, LAYERS, HEADS, KV_HEADS = 37, 18, 13, 2, 3, 1
HEAD_DIM = HIDDEN // HEADS

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": VOCAB,
    "hidden_size": HIDDEN,
    "intermediate_size": INTERMEDIATE,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "head_dim": HEAD_DIM,
    "hidden_act": "silu",
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
    "initializer_range": 0.02,
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def tensor_shapes():
    shapes = {"model.embed_tokens.weight": (VOCAB, HIDDEN)}
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        shapes[p + "input_layernorm.weight"] = (HIDDEN,)
        shapes[p + "self_attn.q_proj.weight"] = (HIDDEN, HIDDEN)
        shapes[p + "self_attn.k_proj.weight"] = (KV_HEADS * HEAD_DIM, HIDDEN)
        shapes[p + "self_attn.v_proj.weight"] = (KV_HEADS * HEAD_DIM, HIDDEN)
        shapes[p + "self_attn.o_proj.weight"] = (HIDDEN, HIDDEN)
        shapes[p + "post_attention_layernorm.weight"] = (HIDDEN,)
        shapes[p + "mlp.gate_proj.weight"] = (INTERMEDIATE, HIDDEN)
        shapes[p + "mlp.up_proj.weight"] = (INTERMEDIATE, HIDDEN)
        shapes[p + "mlp.down_proj.weight"] = (HIDDEN, INTERMEDIATE)
    shapes["model.norm.weight"] = (HIDDEN,)
    shapes["lm_head.weight"] = (VOCAB, HIDDEN)
    return shapes


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


def write_model(folder, tensors, shards=1):
    """Writes a checkpoint in the Hugging Face layout, its tensors dealt out over the shards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    dtype = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    write_json(folder / "config.json", {**CONFIG, "torch_dtype": dtype})
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


def make_models():
    base = {n: base_tensor(n, s) for n, s in tensor_shapes().items()}
    models = {"base": base}
    for model, change in [("a", dense), ("b", low_rank), ("c", heavy_tailed)]:
        models[model] = {n: variant_tensor(model, change, n, t) for n, t in base.items()}
    models["near"] = {n: nearly_parallel(rng_for("near", n), t) for n, t in base.items()}
    for model, tensors in models.items():
        tensors = {n: torch.from_numpy(t) for n, t in tensors.items()}
        write_model(HERE / "models" / model, tensors, shards=3 if model == "a" else 1)

    base16 = {n: torch.from_numpy(t).bfloat16() for n, t in base.items()}
    write_model(HERE / "models-bf16" / "base", base16)
    for model in ["a", "b"]:
        tuned = {n: torch.from_numpy(t).bfloat16() for n, t in models[model].items()}
        tuned = {n: break_tie(base16[n], t, density=0.5) for n, t in tuned.items()}
        write_model(HERE / "models-bf16" / model, tuned)


# ---------------------------------------------------------------------------
# The cases
# ---------------------------------------------------------------------------


def resolve_models(node, folder):
    """The recipe with its model paths, relative to the recipe, made relative to this folder."""
    if isinstance(node, list):
        return [resolve_models(item, folder) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: os.path.relpath(folder / value, HERE)
        if key in ("model", "base_model")
        else resolve_models(value, folder)
        for key, value in node.items()
    }


def load_model(folder):
    tensors = {}
    for file in sorted(Path(folder).glob("*.safetensors")):
        tensors |= load_file(file)
    return tensors


def digest(tensor):
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


@contextmanager
def supplied_masks(case, recipe):
    """Gives mergekit's DARE our masks in place of its dice, and yields them, by "model/tensor".

    mergekit rolls its dice with one torch.bernoulli call inside mergekit.sparsify.bernoulli.
    The call is replaced; everything around it (the product, the rescaling) stays mergekit's own.
    The delta handed to it tells which model and tensor it is for.
    """
    base_path = recipe["base_model"]
    base = load_model(base_path)
    owners = {}
    for path in {m["model"] for m in recipe["models"]} - {base_path}:
        for name, tensor in load_model(path).items():
            owners[digest(tensor - base[name])] = f"{Path(path).name}/{name}"

    masks = {}
    mask_of_this_call = None
    real_sparsifier, real_dice = mergekit.sparsify.bernoulli, torch.bernoulli

    def sparsifier(delta, density, *args, **kwargs):
        nonlocal mask_of_this_call
        owner = owners[digest(delta)]
        draw = rng_for(case, owner).random(tuple(delta.shape))
        mask_of_this_call = torch.from_numpy((draw < density).astype(np.uint8))
        masks[owner] = mask_of_this_call
        return real_sparsifier(delta, density, *args, **kwargs)

    def dice(probabilities):
        return mask_of_this_call.to(probabilities.dtype)

    mergekit.sparsify.bernoulli, torch.bernoulli = sparsifier, dice
    try:
        yield masks
    finally:
        mergekit.sparsify.bernoulli, torch.bernoulli = real_sparsifier, real_dice


def run_mergekit(recipe, out):
    options = MergeOptions(copy_tokenizer=False, write_model_card=False, quiet=True)
    run_merge(MergeConfiguration.model_validate(recipe), str(out), options)
    return out / "model.safetensors"


def make_case(folder):
    recipe = resolve_models(yaml.safe_load((folder / "recipe.yaml").read_text()), folder)
    with tempfile.TemporaryDirectory() as out:
        if folder.name.endswith("_masked"):
            with supplied_masks(folder.name, recipe) as masks:
                merged = run_mergekit(recipe, Path(out))
            save_file(masks, folder / "masks.safetensors")
        else:
            merged = run_mergekit(recipe, Path(out))
        shutil.copyfile(merged, folder / "golden.safetensors")


# ---------------------------------------------------------------------------
# Short vectors
# ---------------------------------------------------------------------------

# Deltas over a zero base. Element 0 and 4 tie between a and b, which elects "+".
A = [0.4, -0.3, 0.2, -0.1, 0.05, 0.0]
B = [-0.4, -0.2, 0.6, 0.3, -0.05, 0.01]
C = [0.11, 0.7, -0.35, 0.02, -0.5, 0.03]
ZERO = [0.0] * 6
BASE = [1.0, -2.0, 0.5, 0.25, -0.125, 3.0]


def f32(values):
    return torch.tensor(values, dtype=torch.float32)


def exact(tensor):
    """Doubles that equal the float32 values exactly, so that parsing and rounding gives them back."""
    return [float(x) for x in tensor.ravel()]


def merge_vector(about, method, tensors, base=None, parameters=None, per_model=None, shape=None):
    """Runs a mergekit method on vectors. `per_model` maps a parameter to one value per model that is not the base."""
    names = list(tensors)
    values = [f32(tensors[n]) for n in names]
    if shape:
        values = [v.reshape(shape) for v in values]
    group = TensorGroup.from_tensors(values, ids=names, base_index=names.index(base) if base else None)
    others = [n for n in names if n != base]
    per_model = {k: dict(zip(others, v)) for k, v in (per_model or {}).items()}
    (result,) = registry.get(method)((group,), parameters={**(parameters or {}), **per_model})
    return {
        "about": about,
        "method": method,
        "shape": list(values[0].shape),
        "tensors": {n: exact(v) for n, v in zip(names, values)},
        **({"base": base} if base else {}),
        "models": [{"model": n, **{k: v[n] for k, v in per_model.items()}} for n in others],
        "parameters": parameters or {},
        "output": exact(result),
    }


def merge_vectors():
    def ties(about, tensors, weight, density, **parameters):
        per_model = {"weight": weight, "density": density}
        return merge_vector(about, "ties", tensors, "base", parameters, per_model)

    def arithmetic(about, tensors, weight, **parameters):
        return merge_vector(about, "task_arithmetic", tensors, "base", parameters, {"weight": weight})

    def linear(about, tensors, weight, **parameters):
        return merge_vector(about, "linear", tensors, None, parameters, {"weight": weight})

    zero_ab = {"base": ZERO, "a": A, "b": B}
    one_ab = {"base": BASE, "a": [x + d for x, d in zip(BASE, A)], "b": [x + d for x, d in zip(BASE, B)]}
    zero_abc = {**zero_ab, "c": C}
    return [
        linear("equal weights: the mean", {"a": A, "b": B, "c": C}, [1, 1, 1]),
        linear("weights are divided by their sum", {"a": A, "b": B, "c": C}, [1, 0.35, 2]),
        linear("weights used as they are", {"a": A, "b": B}, [0.6, 0.3], normalize=False),
        linear("a negative weight, sum one", {"a": A, "b": B}, [1.3, -0.3]),
        linear("a negative weight, sum not one", {"a": A, "b": B}, [1.2, -0.5]),
        arithmetic("one model, weight one: that model", {"base": BASE, "a": A}, [1]),
        arithmetic("two models", one_ab, [0.6, 0.4]),
        arithmetic("lambda scales the sum", one_ab, [0.6, 0.4], **{"lambda": 0.7}),
        arithmetic("normalize divides by the sum of weights", one_ab, [0.6, 1.4], normalize=True),
        arithmetic("normalize with weights that cancel divides by one", one_ab, [0.5, -0.5], normalize=True),
        arithmetic("a negative weight takes away", one_ab, [1, -0.5]),
        ties("nothing trimmed; elements 0 and 4 tie and go to +", zero_ab, [1, 1], [1, 1]),
        ties("half trimmed", zero_ab, [1, 1], [0.5, 0.5]),
        ties("half trimmed; weights count in election and mean", zero_ab, [0.6, 0.4], [0.5, 0.5]),
        ties("nothing trimmed, unequal weights break the ties", zero_ab, [0.6, 0.4], [1, 1]),
        ties("over a base that is not zero", one_ab, [0.6, 0.4], [0.5, 0.5]),
        ties("three models", zero_abc, [0.5, 0.3, 0.7], [0.5, 1, 0.34]),
        ties("normalize off: a sum, not a mean", zero_abc, [0.5, 0.3, 0.7], [0.5, 1, 0.34], normalize=False),
        ties("lambda", zero_abc, [0.5, 0.3, 0.7], [0.5, 1, 0.34], **{"lambda": 1.5}),
        ties("rescale: each trimmed delta keeps its L1 norm", zero_ab, [0.6, 0.4], [0.5, 0.5], rescale=True),
        ties("int8_mask changes no number", zero_abc, [0.5, 0.3, 0.7], [0.5, 1, 0.34], int8_mask=True),
        ties("a negative weight votes for the other sign", zero_ab, [0.6, -0.4], [1, 1], normalize=False),
        ties("one model, nothing trimmed: that model", {"base": BASE, "a": A}, [1], [1]),
        ties("density 0.1 of six keeps one, never none", zero_ab, [0.6, 0.4], [0.1, 0.1]),
        ties("density 0 keeps none", zero_ab, [0.6, 0.4], [0, 0.5]),
        merge_vector(
            "density 1 keeps everything, so nothing is drawn",
            "dare_ties", zero_ab, "base", {}, {"weight": [0.6, 0.4], "density": [1, 1]},
        ),
        merge_vector("no scale: the tensor", "passthrough", {"a": A}),
        merge_vector("scale", "passthrough", {"a": A}, None, {}, {"scale": [0.5]}),
        *[
            merge_vector(f"slerp at t = {t}", "slerp", {"base": A, "a": C}, "base", {"t": t})
            for t in (0, 0.3, 0.5, 1, 1.2)
        ],
        merge_vector("slerp of a matrix is slerp of its elements as one vector",
                     "slerp", {"base": A, "a": C}, "base", {"t": 0.3}, shape=(2, 3)),
        merge_vector("the base is t = 0, also when listed second",
                     "slerp", {"a": C, "base": A}, "base", {"t": 0.3}),
    ]


def slerp_vectors():
    """slerp's own function, at the edges of its branches."""
    root = [1.0, 0.0]

    def at(degrees, length=1.0):
        angle = np.deg2rad(degrees)
        return [length * float(np.cos(angle)), length * float(np.sin(angle))]

    cases = [
        ("perpendicular, of different lengths", 0.25, root, [0.0, 3.0]),
        ("1.8 degrees apart: |cos| is just above 0.9995, a straight line", 0.5, root, at(1.8)),
        ("1.83 degrees apart: just below, an arc", 0.5, root, at(1.83)),
        ("1.83 degrees apart and of different lengths", 0.3, root, at(1.83, 2.0)),
        ("opposite: a straight line through zero", 0.25, root, [-1.0, 0.0]),
        ("178.5 degrees apart: still a straight line, |cos| is above 0.9995", 0.25, root, at(178.5)),
        ("177 degrees apart: an arc", 0.25, root, at(177)),
        ("one vector is zero: the angle counts as a right angle", 0.3, root, [0.0, 0.0]),
        ("both are zero", 0.3, [0.0, 0.0], [0.0, 0.0]),
        ("norm under 1e-8 is not normalized", 0.3, root, [1e-9, 0.0]),
    ]
    result = []
    for about, t, v0, v1 in cases:
        v0, v1 = f32(v0), f32(v1)
        (out,) = slerp(torch.tensor([t]), v0.unsqueeze(0), v1.unsqueeze(0))
        result.append({"about": about, "t": t, "v0": exact(v0), "v1": exact(v1), "output": exact(out)})
    return result


def sparsify_vectors():
    """mergekit's sparsifiers with a mask supplied, and how many elements a density keeps."""
    magnitude = []
    for values, density, rescale in [
        (A, 0.5, False), (A, 0.5, True), (B, 0.34, False), (B, 0.34, True), (C, 0.9, True), (C, 0.01, False), (C, 0, False),
    ]:
        norm = RescaleNorm.l1 if rescale else None
        out = sparsify(f32(values), density, SparsificationMethod.magnitude, rescale_norm=norm)
        magnitude.append({"input": exact(f32(values)), "density": density, "rescale": rescale, "output": exact(out)})

    random = []
    real_dice = torch.bernoulli
    for values, mask, rescale in [
        (A, [1, 0, 1, 1, 0, 0], True),
        (A, [1, 0, 1, 1, 0, 0], False),
        (B, [0, 0, 1, 0, 1, 1], True),
        (C, [1, 1, 1, 1, 1, 1], True),
        (C, [0, 0, 0, 0, 0, 0], True),
        (A, [0, 0, 0, 0, 0, 1], True),
        ([x * 1e-8 for x in C], [1, 0, 1, 1, 0, 0], True),
    ]:
        norm = RescaleNorm.l1 if rescale else None
        try:
            torch.bernoulli = lambda p, mask=mask: f32(mask)
            out = sparsify(f32(values), 0.5, SparsificationMethod.random, rescale_norm=norm)
        finally:
            torch.bernoulli = real_dice
        random.append({"input": exact(f32(values)), "mask": mask, "rescale": rescale, "output": exact(out)})

    kept = []
    for numel, density in [(100, 0.29), (100, 0.57), (10, 0.7), (6, 0.5), (7, 0.5), (6, 0.1), (1000, 0.001), (18, 0.2), (3, 0.999)]:
        out = sparsify(torch.arange(1, numel + 1).float(), density, SparsificationMethod.magnitude)
        kept.append({"numel": numel, "density": density, "kept": int(out.count_nonzero())})
    return {"magnitude": magnitude, "random": random, "kept": kept}


def election_vectors():
    """Which weighted deltas agree with the elected sign: a tie elects +, and a zero never agrees."""
    rows = [A, B, C]
    result = []
    for weight in [[1, 1, 1], [0.6, 0.4, 0.0], [1, 1, 0], [0.5, 0.3, -0.7]]:
        deltas = f32(rows) * f32(weight).reshape(3, 1)
        agree = get_mask(deltas, method="sum")
        result.append({"weighted": [exact(d) for d in deltas], "agree": agree.int().tolist()})
    return result


def gradient_vectors():
    """A list as a parameter's value, read at each of some layers."""
    result = []
    for setting, layers in [
        ([1, 0.7, 0.1], 8), ([0, 0.5, 0.3, 0.7, 1], 32), ([0, 1], 2), ([0.2, 0.9], 1), ([0.4], 3), ([0, 1, 0], 5),
    ]:
        values = [
            evaluate_setting("x", setting, i / (layers - 1) if layers > 1 else 1, validate=float)
            for i in range(layers)
        ]
        result.append({"setting": setting, "layers": layers, "values": values})
    return result


def make_explicit():
    write_json(HERE / "explicit.json", {
        "about": "Made by make_goldens.py with mergekit 0.1.5. Numbers in tensors are float32, printed as the double "
                 "that equals them. Tolerance: rtol 1e-6 (slerp 1e-5), atol 1e-12.",
        "merges": merge_vectors(),
        "slerp": slerp_vectors(),
        "sparsify": sparsify_vectors(),
        "election": election_vectors(),
        "gradients": gradient_vectors(),
    })


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


def main(only):
    torch.set_num_threads(1)  # one order of summation, whatever the machine
    os.chdir(HERE)
    if not only:
        make_models()
        make_explicit()
    for folder in sorted((HERE / "cases").iterdir()):
        if not only or folder.name in only:
            print(folder.name)
            make_case(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
