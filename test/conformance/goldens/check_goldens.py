"""Holds every golden against the formulas of the methods, in float64, without mergekit or torch.

    venv/bin/python check_goldens.py      # needs numpy and PyYAML

Prints, per case, the largest error in units of the tolerance (1 is the limit), and fails above it.
It also fails where a golden would be a coin toss: a trimming threshold with equal magnitudes on both
sides, a sign election or a slerp branch that rounding could turn.

The tolerance, for an element y of a golden: |x - y| <= rtol |y| + 2^-24, with rtol 1e-6 (slerp 1e-5);
for bf16 results, one step of bf16. The constant is for elements where base and delta nearly cancel.
"""

import json
import sys
from pathlib import Path

import numpy as np
import yaml

HERE = Path(__file__).resolve().parent
DTYPES = {"F32": np.float32, "U8": np.uint8, "BF16": np.uint16}
ATOL = 2.0**-24


# --- files -----------------------------------------------------------------


def read_safetensors(path):
    """Tensors by name as (dtype, array); bf16 widened to float32."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, info in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        begin, end = info["data_offsets"]
        array = np.frombuffer(data[start + begin : start + end], DTYPES[info["dtype"]]).reshape(info["shape"])
        if info["dtype"] == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = (info["dtype"], array)
    return tensors


def read_model(folder):
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= read_safetensors(file)
    return {name: array.astype(np.float64) for name, (_, array) in tensors.items()}


# --- recipes ---------------------------------------------------------------

DEFAULTS = {"density": 1.0, "lambda": 1.0, "int8_mask": False, "scale": None}
METHOD_DEFAULTS = {
    "linear": {"normalize": True},
    "task_arithmetic": {"normalize": False, "rescale": False},
    "ties": {"normalize": True, "rescale": False},
    "dare_linear": {"normalize": False, "rescale": True},
    "dare_ties": {"normalize": False, "rescale": True},
}


def evaluate(setting, name, depth):
    """One value of a setting for a tensor; None where no filter matches."""
    if not isinstance(setting, list):
        return setting
    if not isinstance(setting[0], dict):
        place = depth * (len(setting) - 1)
        low = int(place)
        high = min(low + 1, len(setting) - 1)
        return setting[low] + (setting[high] - setting[low]) * (place - low)
    for entry in setting:
        if entry.get("filter") in (None, "*") or entry["filter"] in name:
            return evaluate(entry["value"], name, depth)
    return None


class Case:
    def __init__(self, folder):
        self.name = folder.name
        self.recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
        self.method = self.recipe["merge_method"]
        self.folder = folder
        self.golden = read_safetensors(folder / "golden.safetensors")
        masks = folder / "masks.safetensors"
        self.masks = {n: a for n, (_, a) in read_safetensors(masks).items()} if masks.exists() else None
        self.slices = self.recipe.get("slices") or [{"sources": self.recipe["models"]}]
        self.base = self.recipe.get("base_model")
        self.cache = {}

    def model(self, path):
        if path not in self.cache:
            self.cache[path] = read_model((self.folder / path).resolve())
        return self.cache[path]

    def parameter(self, name, scopes, tensor, depth):
        for scope in [*scopes, self.recipe.get("parameters")]:
            if scope and name in scope:
                value = evaluate(scope[name], tensor, depth)
                if value is not None:
                    return value
        return {**DEFAULTS, **METHOD_DEFAULTS.get(self.method, {})}.get(name)

    def inputs(self, output_name):
        """(slice, tensor name in its models, depth) for a tensor of the output."""
        if not output_name.startswith("model.layers."):
            return self.slices[-1 if output_name in ("model.norm.weight", "lm_head.weight") else 0], output_name, 0.0
        index, rest = output_name.removeprefix("model.layers.").split(".", 1)
        index = int(index)
        for piece in self.slices:
            low, high = piece["sources"][0].get("layer_range", [0, 2])
            if index < high - low:
                depth = index / (high - low - 1) if high - low > 1 else 1.0
                return piece, f"model.layers.{low + index}.{rest}", depth
            index -= high - low
        raise KeyError(output_name)

    def expected(self, output_name):
        piece, name, depth = self.inputs(output_name)
        sources = piece["sources"]
        shared = lambda p: self.parameter(p, [], output_name, depth)
        own = lambda p: [self.parameter(p, [s.get("parameters")], name, depth) for s in sources if s["model"] != self.base]
        tensors = [self.model(s["model"])[name] for s in sources if s["model"] != self.base]
        base = self.model(self.base)[name] if self.base else None
        if self.method == "linear":
            return linear(tensors, own("weight"), shared("normalize"))
        if self.method == "passthrough":
            scale = own("scale")[0]
            return tensors[0] if scale is None else tensors[0] * scale
        if self.method == "slerp":
            return slerp(shared("t"), base, tensors[0], f"{self.name} {output_name}")
        deltas = [t - base for t in tensors]
        if self.method != "task_arithmetic":
            masks = None
            if self.masks is not None:
                models = [Path(s["model"]).name for s in sources if s["model"] != self.base]
                masks = [self.masks[f"{m}/{name}"] for m in models]
            densities = own("density")
            for i, density in enumerate(densities):
                mask = masks[i] if masks else largest(deltas[i], density, f"{self.name} {output_name}")
                deltas[i] = rescaled(deltas[i], mask) if shared("rescale") else deltas[i] * mask
        elects = self.method in ("ties", "dare_ties")
        return base + combine(
            deltas, own("weight"), elects, shared("normalize"), shared("lambda"), f"{self.name} {output_name}"
        )


# --- formulas --------------------------------------------------------------


def linear(tensors, weights, normalize):
    total = sum(w * t for w, t in zip(weights, tensors))
    return total / sum(weights) if normalize else total


def slerp(t, v0, v1, where):
    unit0, unit1 = v0 / np.linalg.norm(v0), v1 / np.linalg.norm(v1)
    cos = float((unit0 * unit1).sum())
    if abs(abs(cos) - 0.9995) < 1e-6:
        raise AssertionError(f"{where}: |cos| {cos} is too near the branch")
    branches.add("line" if abs(cos) > 0.9995 else "arc")
    if abs(cos) > 0.9995:
        return (1 - t) * v0 + t * v1
    theta = np.arccos(cos)
    return np.sin((1 - t) * theta) / np.sin(theta) * v0 + np.sin(t * theta) / np.sin(theta) * v1


def largest(delta, density, where):
    if density >= 1:
        return np.ones_like(delta)
    magnitude = np.sort(np.abs(delta).astype(np.float32).ravel())[::-1]
    keep = max(1, int(density * delta.size))
    if keep < delta.size and not magnitude[keep - 1] > magnitude[keep]:
        raise AssertionError(f"{where}: equal magnitudes at the threshold")
    return np.abs(delta).astype(np.float32) >= magnitude[keep - 1]


def rescaled(delta, mask):
    before, after = np.abs(delta).sum(), np.abs(delta * mask).sum()
    return delta * mask * (before / after if before >= 1e-7 and after >= 1e-7 else 1)


def combine(deltas, weights, elects, normalize, scale, where):
    weighted = [w * d for w, d in zip(weights, deltas)]
    total, divisor = sum(weighted), sum(weights)
    if elects:
        closeness = np.abs(total) / np.maximum(np.max(np.abs(weighted), axis=0), 1e-30)
        if ((closeness > 0) & (closeness < 1e-6)).any():
            raise AssertionError(f"{where}: an election that rounding could turn")
        elected = np.where(total >= 0, 1, -1)
        agree = [np.sign(d) == elected for d in weighted]
        total = sum(d * m for d, m in zip(weighted, agree))
        divisor = sum(w * m for w, m in zip(weights, agree))
        divisor = np.where(divisor == 0, 1, divisor)
    elif abs(divisor) < 1e-8:
        divisor = 1
    return (total / divisor if normalize else total) * scale


# --- comparison ------------------------------------------------------------


def to_bf16(x):
    """Rounded to nearest, ties to even, as the upper half of a float32."""
    bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.int64)


def ordered(bits):
    """bf16 bit patterns as integers in the order of their values."""
    return np.where(bits & 0x8000, -(bits & 0x7FFF), bits)


def error(expected, dtype, golden, rtol, atol=ATOL):
    """The largest error, in units of the tolerance."""
    if dtype == "BF16":
        steps = np.abs(ordered(to_bf16(expected)) - ordered(to_bf16(golden)))
        return float(steps.max())
    return float((np.abs(expected - golden) / (rtol * np.abs(golden) + atol)).max())


def check_explicit():
    """The vectors of explicit.json, through the same formulas."""
    data = json.loads((HERE / "explicit.json").read_text())
    worst = 0.0

    def compare(expected, output, rtol=1e-6):
        nonlocal worst
        worst = max(worst, error(np.asarray(expected), "F32", np.asarray(output), rtol, atol=1e-12))
        for value in output:
            assert float(np.float32(value)) == value, "not a float32"

    for v in data["merges"]:
        tensors = {n: np.array(x) for n, x in v["tensors"].items()}
        base = tensors.get(v.get("base"))
        own = lambda p: [m.get(p, DEFAULTS.get(p)) for m in v["models"]]
        shared = {**DEFAULTS, **METHOD_DEFAULTS.get(v["method"], {}), **v["parameters"]}
        others = [tensors[m["model"]] for m in v["models"]]
        if v["method"] == "linear":
            out = linear(others, own("weight"), shared["normalize"])
        elif v["method"] == "passthrough":
            out = others[0] * (own("scale")[0] or 1)
        elif v["method"] == "slerp":
            out = slerp(shared["t"], base, others[0], v["about"])
        else:
            deltas = [t - base for t in others]
            if v["method"] == "ties":
                masks = [largest(d, p, v["about"]) if p > 0 else d * 0 for d, p in zip(deltas, own("density"))]
                deltas = [rescaled(d, m) if shared["rescale"] else d * m for d, m in zip(deltas, masks)]
            elects = v["method"] in ("ties", "dare_ties")
            out = base + combine(deltas, own("weight"), elects, shared["normalize"], shared["lambda"], v["about"])
        compare(out, v["output"], 1e-5 if v["method"] == "slerp" else 1e-6)
    for v in data["sparsify"]["magnitude"]:
        delta = np.array(v["input"])
        mask = largest(delta, v["density"], "magnitude") if v["density"] > 0 else delta * 0
        compare(rescaled(delta, mask) if v["rescale"] else delta * mask, v["output"])
    for v in data["sparsify"]["random"]:
        delta, mask = np.array(v["input"]), np.array(v["mask"])
        compare(rescaled(delta, mask) if v["rescale"] else delta * mask, v["output"])
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


branches = set()


def main():
    failed = False
    for folder in sorted((HERE / "cases").iterdir()):
        case = Case(folder)
        rtol = 1e-5 if case.method == "slerp" else 1e-6
        branches.clear()
        worst, dtypes = 0.0, set()
        for name, (dtype, golden) in case.golden.items():
            dtypes.add(dtype)
            worst = max(worst, error(case.expected(name), dtype, golden, rtol))
        note = f"  {' and '.join(sorted(branches))}" if branches else ""
        print(f"{folder.name:34} {'/'.join(dtypes):5} {worst:8.3f}{note}")
        failed |= worst > 1
    worst = check_explicit()
    print(f"{'explicit.json':34} {'F32':5} {worst:8.3f}")
    failed |= worst > 1
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
