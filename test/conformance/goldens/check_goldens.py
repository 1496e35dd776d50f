"""Holds every golden against the formulas of the methods, in float64, without mergekit or torch.

    venv/bin/python check_goldens.py      # needs numpy and PyYAML

Prints, per case, the largest error in units of the tolerance (1 is the limit), and fails above it. It also fails where a
golden would be a coin toss (formulas.py), lacks a tensor or has one too many, or has the wrong config or tokens.

tolerances.json says what is near enough, and README.md why.
"""

import json
import sys
from pathlib import Path

import numpy as np

from checking import formulas
from checking.expected import Case
from checking.files import read_json, read_safetensors, read_vocabulary, steps_apart
from checking.moe import MoeCase
from checking.settings import DEFAULTS, METHOD_DEFAULTS, evaluate

HERE = Path(__file__).resolve().parent
TOLERANCES = read_json(HERE / "tolerances.json")


def tolerance(case):
    """relative, absolute, and steps of a 16-bit dtype: by default, by method, by case."""
    result = dict(TOLERANCES["default"])
    for document in case.documents:
        result |= TOLERANCES["methods"].get(document["merge_method"], {})
    return result | TOLERANCES["cases"].get(case.name, {})


def error(expected, dtype, golden, relative=1e-6, absolute=2.0**-24, steps=1):
    """The largest error, in units of the tolerance."""
    if steps is not None and dtype in ("BF16", "F16"):
        return float(steps_apart(expected, golden, dtype).max() / steps)
    return float((np.abs(expected - golden) / (relative * np.abs(golden) + absolute)).max())


def check_case(case):
    """(dtypes, the largest error)."""
    near = tolerance(case)
    golden = read_safetensors(case.folder / "golden.safetensors")
    dtypes, worst, missing = set(), 0.0, set(golden)
    for name, *place in case.final.outputs():
        assert name in golden, f"{case.name}: {name} is not in the golden"
        dtype, values = case.final.tensor(name, *place)
        missing.discard(name)
        assert golden[name][0] == dtype, f"{case.name}: {name} is {golden[name][0]}, not {dtype}"
        assert golden[name][1].shape == values.shape, f"{case.name}: {name} is {golden[name][1].shape}"
        dtypes.add(dtype)
        worst = max(worst, error(values, dtype, golden[name][1], **near))
    assert not missing, f"{case.name}: nobody expects {missing}"
    check_companions(case)
    return dtypes, worst


def check_companions(case):
    """The layers and tokens that the config speaks of, and the tokens themselves."""
    config = read_json(case.folder / "config.json")
    for module in case.final.modules:
        if module.count:
            wanted = case.final.config()[module.count]
            assert config[module.count] == wanted, f"{case.name}: {module.count} is {config[module.count]}, not {wanted}"
    assert config["vocab_size"] == case.final.config()["vocab_size"], f"{case.name}: {config['vocab_size']} tokens"
    if case.final.vocabulary:
        tokens, _ = read_vocabulary(case.folder / "tokenizer.json")
        wanted = {token: number for number, token in enumerate(case.final.vocabulary.order)}
        assert tokens == wanted, f"{case.name}: {set(tokens.items()) ^ set(wanted.items())}"


def check_explicit():
    """The vectors of explicit.json, through the same formulas."""
    data = json.loads((HERE / "explicit.json").read_text())
    worst = 0.0

    def compare(expected, output, rtol=1e-6):
        nonlocal worst
        worst = max(worst, error(np.asarray(expected), "F32", np.asarray(output), rtol, absolute=1e-12))
        for value in output:
            assert float(np.float32(value)) == value, "not a float32"

    for v in data["merges"]:
        tensors = {n: np.array(x) for n, x in v["tensors"].items()}
        base = tensors.get(v.get("base"))
        own = lambda p: [m.get(p, DEFAULTS.get(p)) for m in v["models"]]
        shared = {**DEFAULTS, **METHOD_DEFAULTS.get(v["method"], {}), **v["parameters"]}
        others = [tensors[m["model"]] for m in v["models"]]
        if v["method"] == "linear":
            out = formulas.linear(others, own("weight"), shared["normalize"])
        elif v["method"] == "passthrough":
            out = others[0] * (own("scale")[0] or 1)
        elif v["method"] == "slerp":
            out = formulas.slerp(shared["t"], base, others[0], v["about"])
        else:
            deltas = [t - base for t in others]
            if v["method"] == "ties":
                masks = [formulas.largest(d, p, v["about"]) if p > 0 else d * 0 for d, p in zip(deltas, own("density"))]
                deltas = [formulas.rescaled(d, m) if shared["rescale"] else d * m for d, m in zip(deltas, masks)]
            elects = v["method"] in ("ties", "dare_ties")
            out = base + formulas.combine(deltas, own("weight"), elects, shared["normalize"], shared["lambda"], v["about"])
        compare(out, v["output"], 1e-5 if v["method"] == "slerp" else 1e-6)
    for v in data["sparsify"]["magnitude"]:
        delta = np.array(v["input"])
        mask = formulas.largest(delta, v["density"], "magnitude") if v["density"] > 0 else delta * 0
        compare(formulas.rescaled(delta, mask) if v["rescale"] else delta * mask, v["output"])
    for v in data["sparsify"]["random"]:
        delta, mask = np.array(v["input"]), np.array(v["mask"])
        compare(formulas.rescaled(delta, mask) if v["rescale"] else delta * mask, v["output"])
    for v in data["sparsify"]["kept"]:
        assert v["kept"] == max(1, int(v["density"] * v["numel"])), v
    for v in data["election"]:
        rows = np.array(v["weighted"], np.float32)
        elected = np.where(rows.sum(0) >= 0, 1, -1)
        assert ((np.sign(rows) == elected) == np.array(v["agree"], bool)).all(), v
    for v in data["gradients"]:
        last = v["layers"] - 1
        depths = [i / last if last else 1.0 for i in range(v["layers"])]
        compare([evaluate(v["setting"], "", d) for d in depths], [float(np.float32(x)) for x in v["values"]])
    return worst


def report(name, dtypes, worst):
    note = " and ".join(sorted(formulas.branches))
    print(f"{name:34} {'/'.join(sorted(dtypes)):8} {worst:8.3f}  {note}".rstrip())
    return worst > 1


def main(only):
    failed = False
    for folder, kind in [("cases", Case), ("moe-cases", MoeCase)]:
        for path in sorted((HERE / folder).iterdir()):
            if only and path.name not in only:
                continue
            formulas.branches.clear()
            try:
                case = kind(path)
                failed |= report(path.name, *(check_case(case) if kind is Case else case.check(error)))
            except (AssertionError, KeyError) as reason:
                print(f"{path.name:34} {type(reason).__name__} {reason}")
                failed = True
    failed |= report("explicit.json", {"F32"}, check_explicit())
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
