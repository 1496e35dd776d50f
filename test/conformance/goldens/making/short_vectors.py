"""explicit.json: short vectors in and out, to read and to debug with."""

import numpy as np
import torch
from mergekit.config import evaluate_setting
from mergekit.merge_methods import registry
from mergekit.merge_methods.base import TensorGroup
from mergekit.merge_methods.generalized_task_arithmetic import get_mask
from mergekit.merge_methods.slerp import slerp
from mergekit.sparsify import RescaleNorm, SparsificationMethod, sparsify

from making.weights import write_json

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


def make_explicit(path):
    write_json(path, {
        "about": "Made by make_goldens.py with mergekit 0.1.5. Numbers in tensors are float32, printed as the double "
                 "that equals them. Tolerance: rtol 1e-6 (slerp 1e-5), atol 1e-12.",
        "merges": merge_vectors(),
        "slerp": slerp_vectors(),
        "sparsify": sparsify_vectors(),
        "election": election_vectors(),
        "gradients": gradient_vectors(),
    })
