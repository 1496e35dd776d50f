"""Makes explicit-methods.json: what mergekit's own merge methods make of short vectors.

    python make_explicit_methods.py

Needs what goldens/requirements.txt names. Calls the methods themselves, one tensor at a time, in float32; a second run
writes the same bytes. Made with Python 3.11.7, mergekit 0.1.5, torch 2.15.0 on a CPU. The entries are like those of
goldens/explicit.json. No element hangs on a tie, for mergekit's sorts are not stable.
"""

import json
from pathlib import Path

import numpy as np
import torch
from mergekit.merge_methods import registry
from mergekit.merge_methods.base import TensorGroup

A = [0.4, -0.3, 0.2, -0.1, 0.05, 0.15, -0.25, 0.35, -0.45, 0.55, -0.65, 0.08]
B = [-0.41, -0.2, 0.6, 0.3, -0.06, 0.01, 0.27, 0.33, -0.5, 0.22, 0.12, -0.7]
C = [0.11, 0.7, -0.35, 0.02, -0.5, 0.03, 0.31, -0.21, -0.13, 0.09, 0.29, 0.61]
BASE = [0.3, -0.1, 0.25, 0.05, -0.02, 0.12, 0.06, 0.17, -0.33, 0.42, -0.28, 0.19]
ZERO = [0.0] * 12


def plus(x, y, share=1.0):
    return [a + share * b for a, b in zip(x, y)]


def exact(tensor):
    return [float(x) for x in tensor.flatten()]


def vector(about, method, tensors, base=None, parameters=None, shape=None, **per_model):
    names = list(tensors)
    values = [torch.tensor(tensors[n], dtype=torch.float32).reshape(shape or len(tensors[n])) for n in names]
    group = TensorGroup.from_tensors(values, ids=names, base_index=names.index(base) if base else None, name="x.weight")
    others = [n for n in names if n != base]
    per_model = {key: dict(zip(others, given)) for key, given in per_model.items()}
    (result,) = registry.get(method)((group,), parameters={**(parameters or {}), **per_model})
    return {
        "about": f"{method}: {about}",
        "method": method,
        "shape": list(values[0].shape),
        "tensors": {n: exact(v) for n, v in zip(names, values)},
        **({"base": base} if base else {}),
        "models": [{"model": n, **{key: v[n] for key, v in per_model.items()}} for n in others],
        "parameters": parameters or {},
        "output": exact(result),
    }


def nuslerp():
    def of(about, tensors, weight, base=None, shape=None, **parameters):
        return vector(about, "nuslerp", tensors, base, parameters, shape, weight=weight)

    pair = {"a": A, "b": B}
    rows = {"nuslerp_flatten": False}
    columns = {"nuslerp_flatten": False, "nuslerp_row_wise": True}
    return [
        of("equal weights: half-way", pair, [1, 1]),
        of("only the weights' ratio counts", pair, [0.6, 1.4]),
        of("weights that cancel: half-way", pair, [0.5, -0.5]),
        of("beyond the second", pair, [-0.2, 1]),
        of("task vectors", {"base": BASE, "a": A, "b": B}, [1, 0.35], "base"),
        of("equal tensors", {"a": A, "b": A}, [1, 3]),
        of("the same direction", {"a": A, "b": plus(A, A)}, [1, 3]),
        # Not opposite directions: there mergekit divides by the sine of a rounding error.
        of("a zero tensor counts as at right angles", {"a": A, "b": ZERO}, [1, 2]),
        of("each row by itself", pair, [1, 2], shape=(3, 4), **rows),
        of("each row by itself, of task vectors", {"base": BASE, "a": A, "b": C}, [1, 2], "base", (4, 3), **rows),
        of("each column by itself", pair, [1, 2], shape=(3, 4), **columns),
        of("each column by itself, of task vectors", {"base": BASE, "a": A, "b": C}, [1, 2], "base", (4, 3), **columns),
        of("columns of three dimensions run along the first", pair, [1, 2], shape=(3, 2, 2), **columns),
        of("a vector is one row", pair, [1, 2], **rows),
        of("a vector is one column", pair, [1, 2], **columns),
        of("nuslerp_row_wise changes nothing of a flattened tensor", pair, [1, 2], shape=(3, 4), nuslerp_row_wise=True),
    ]


def multislerp():
    def of(about, tensors, weight, base=None, **parameters):
        return vector(about, "multislerp", tensors, base, parameters, weight=weight)

    three = {"a": A, "b": B, "c": C}
    return [
        of("equal weights", three, [1, 1, 1]),
        of("weights are divided by their sum", three, [1, 0.35, 2]),
        of("weights as they are", three, [0.5, 0.3, 0.7], normalize_weights=False),
        of("a negative weight", three, [1, -0.2, 0.5]),
        of("task vectors", {"base": BASE, **three}, [1, 0.35, 2], "base"),
        of("one model", {"a": A}, [0.3]),
        of("one model and a base: the model", {"base": BASE, "a": A}, [0.3], "base"),
        of("two opposite tensors that balance: the weighted sum", {"a": A, "b": [-x for x in A]}, [1, 1]),
        of("two that balance, of different lengths", {"a": A, "b": [-2 * x for x in A]}, [1, 1]),
        of("a zero tensor", {"a": A, "b": ZERO, "c": C}, [1, 1, 1]),
        of("two models equal to the base", {"base": BASE, "a": BASE, "b": BASE}, [1, 1], "base"),
    ]


def karcher():
    def of(about, tensors, **parameters):
        return vector(about, "karcher", tensors, None, parameters)

    three = {"a": A, "b": B, "c": C}
    return [
        of("three models", three),
        of("two models", {"a": A, "b": B}),
        of("four models", {**three, "d": BASE}),
        of("one model", {"a": A}),
        of("one step", three, max_iter=1),
        of("no step: the normalized mean", three, max_iter=0),
        of("many steps", three, max_iter=50, tol=1e-7),
        of("a coarse tolerance stops early", three, tol=0.3),
        of("equal models", {"a": A, "b": A, "c": A}),
        of("opposite models: the first one's direction", {"a": A, "b": [-x for x in A]}),
        of("a zero tensor has no direction, but a length", {"a": A, "b": ZERO, "c": C}),
        of("only zero tensors", {"a": ZERO, "b": ZERO}),
    ]


def model_stock():
    def of(about, tensors, shape=None, **parameters):
        return vector(about, "model_stock", tensors, "base", parameters, shape)

    def at_angle(cosine):
        return [1.0, 0.0, 0.5], [cosine, float(np.sqrt(1.25 * 1.25 - (1.25 * cosine) ** 2)), 0.5]

    three = {"base": BASE, "a": A, "b": B, "c": C}
    return [
        of("two models", {"base": BASE, "a": A, "b": plus(A, B, 0.5)}),
        of("three models", three),
        of("each row by itself", {"base": BASE, "a": A, "b": plus(A, B, 0.5)}, (3, 4), filter_wise=True),
        of("three models, each row by itself",
           {"base": BASE, "a": A, "b": plus(A, B, 0.5), "c": plus(A, C, 0.5)}, (4, 3), filter_wise=True),
        of("a vector is one row", three, filter_wise=True),
        of("equal models: t = 1", {"base": BASE, "a": A, "b": A, "c": A}),
        of("right angles: the base", {"base": [0.0] * 4, "a": [1.0, 0, 0, 0], "b": [0, 2.0, 0, 0]}),
        of("cos 0.5: t = 2/3", {"base": [0.0] * 3, "a": [1.0, 1.0, 0], "b": [0, 1.0, 1.0]}),
        of("opposite models have no t: the base", {"base": BASE, "a": plus(BASE, A, 0.5), "b": plus(BASE, A, -0.5)}),
        of("a model equal to the base", {"base": BASE, "a": A, "b": BASE}),
        of("faint task vectors count as nearly at right angles",
           {"base": ZERO, "a": [1e-3 * x for x in A], "b": [1e-3 * x for x in plus(A, B, 0.2)]}),
    ]


def breadcrumbs():
    result = []
    for method in ("breadcrumbs", "breadcrumbs_ties"):
        def of(about, weight, density, gamma, method=method, **parameters):
            tensors = {"base": ZERO, "a": A, "b": B}
            return vector(about, method, tensors, "base", parameters, weight=weight, density=density, gamma=gamma)

        result += [
            of("half kept, the largest tenth dropped", [1, 1], [0.5, 0.5], [0.1, 0.1]),
            of("unequal models", [0.6, 0.4], [0.5, 0.25], [0.25, 0]),
            of("more outliers than the density leaves", [1, 1], [0.75, 0.9], [0.5, 0.5]),
            of("density 1 keeps everything", [1, 1], [1, 0.5], [0.5, 0.5]),
            of("density 0 keeps nothing", [1, 1], [0, 0.5], [0.1, 0.1]),
            of("rescale", [1, 1], [0.5, 0.75], [0.1, 0.2], rescale=True),
            of("normalize and lambda", [1, 0.5], [0.5, 0.75], [0.1, 0.2], normalize=True, **{"lambda": 1.5}),
        ]
    return result


def nearswap():
    pair = {"base": A, "b": B}
    return [vector(f"t = {t}", "nearswap", pair, "base", {"t": t}) for t in (0, 0.05, 0.3, 10, -0.1)] + [
        vector("equal tensors", "nearswap", {"base": A, "b": A}, "base", {"t": 0.1})
    ]


def sce():
    def of(about, tensors, **parameters):
        return vector(about, "sce", tensors, "base", parameters)

    three = {"base": BASE, "a": A, "b": B, "c": C}
    faint = {"base": ZERO, "a": [1e-3 * x for x in A], "b": [2e-3 * x for x in B]}
    partly = {"base": ZERO, "a": A[:6] + [0.2] * 6, "b": B[:6] + [0.2] * 6}
    return [
        of("everything", three),
        of("half of the elements", three, select_topk=0.5),
        of("a tenth of the elements", three, select_topk=0.1),
        of("too little for one element: the base", three, select_topk=0.05),
        of("nothing: the base", three, select_topk=0.0),
        of("int8_mask changes no number", three, select_topk=0.5, int8_mask=True),
        of("faint task vectors have equal weights", faint),
        of("one model: that model", {"base": BASE, "a": A}),
        of("one model never varies", {"base": BASE, "a": A}, select_topk=0.5),
        of("what does not vary is not counted", partly, select_topk=0.5),
        of("a share of 1 keeps what does not vary", partly, select_topk=1.0),
    ]


def ram():
    a = [0.2, 0, 0, -0.3, 0.1, 0, 0, 0.5, 1e-6, 0.4, 0, -0.2]
    b = [0, 0.3, 0, -0.1, -0.4, 0, 0.25, 0, 0.2, 0, 0, 0.1]
    c = [0, 0, 0, 0.6, 0, 0.15, 0, 0, 0, 0, -0.35, -0.45]
    sparse = {"base": BASE, **{n: plus(BASE, x) for n, x in (("a", a), ("b", b), ("c", c))}}
    result = []
    for method in ("ram", "ramplus_tl"):
        result += [
            vector("three sparse models", method, sparse, "base"),
            vector("a coarse epsilon", method, sparse, "base", {"epsilon": 0.22}),
            vector("dense models share everything", method, {"base": BASE, "a": A, "b": B, "c": C}, "base"),
            vector("one model", method, {"base": BASE, "a": A}, "base"),
        ]
    return result + [
        vector("r and alpha", "ramplus_tl", sparse, "base", {"r": 0.5, "alpha": 2.0}),
        vector("alpha bounds the overlap", "ramplus_tl", sparse, "base", {"r": 0.5, "alpha": 0.05}),
    ]


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


if __name__ == "__main__":
    torch.set_num_threads(1)  # one order of summation, whatever the machine
    families = [nuslerp, multislerp, karcher, model_stock, breadcrumbs, nearswap, sce, ram]
    content = {
        "about": "Made by make_explicit_methods.py with mergekit 0.1.5, in float32. Tolerance: rtol 1e-6 (nuslerp, "
                 "multislerp and karcher 1e-5), atol 2^-24, half a float32 step at 1.",
        "merges": [entry for family in families for entry in family()],
    }
    Path(__file__).with_name("explicit-methods.json").write_text(one_line_leaves(content) + "\n")
