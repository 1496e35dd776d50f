"""What a recipe must give, in float64, worked out without mergekit."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from checking import formulas, vocabulary
from checking.architectures import ARCHITECTURES, VOCABULARY_TENSORS, find
from checking.files import SHORT, Checkpoint, read_checkpoint, read_safetensors, rounded, widest, with_adapter
from checking.settings import first_value

METHODS_OF_DELTAS = {
    "task_arithmetic", "ties", "dare_linear", "dare_ties", "breadcrumbs", "breadcrumbs_ties", "della", "della_linear",
}
ELECTING = {"ties", "dare_ties", "breadcrumbs_ties", "della"}


def reference(value):
    """A reference to a model in one line."""
    if isinstance(value, str):
        return value
    parts = [value[part]["path"] for part in ("model", "lora") if value.get(part)]
    return "+".join(parts)


@dataclass
class Piece:
    """A slice: its sources as (model, first layer, parameters), and the scopes behind those."""

    sources: list
    layers: int
    base: str | None
    scopes: list


class Merge:
    """One document of a recipe file."""

    def __init__(self, case, recipe):
        self.case, self.recipe, self.method = case, recipe, recipe["merge_method"]
        self.base = reference(recipe["base_model"]) if recipe.get("base_model") else None
        self.donor = case.model(self.base or next(iter(self.models())))
        self.modules = ARCHITECTURES[self.donor.config["model_type"]]
        self.pieces = {module.name: self.module_pieces(module) for module in self.modules}
        dtype = recipe.get("dtype", "").removeprefix("torch.")
        self.dtype = SHORT[dtype] if dtype else None
        out = recipe.get("out_dtype", "").removeprefix("torch.")
        self.out_dtype = SHORT[out] if out else None
        self.vocabulary = vocabulary.Alignment(self) if "tokenizer" in recipe or "tokenizer_source" in recipe else None

    def models(self):
        """The models in the order in which the recipe names them, the base first."""
        names = [self.base] if self.base else []
        definitions = [self.recipe, *(self.recipe.get("modules") or {}).values()]
        for definition in definitions:
            sources = list(definition.get("models") or [])
            for piece in definition.get("slices") or []:
                sources += piece["sources"]
            names += [reference(s["model"]) for s in sources]
        return dict.fromkeys(names)

    def module_pieces(self, module):
        definition = (self.recipe.get("modules") or {}).get(module.name) or self.recipe
        outer = [definition.get("parameters")] if definition is not self.recipe else []
        outer.append(self.recipe.get("parameters"))
        if "models" in definition:
            sources = [(reference(m["model"]), 0, m.get("parameters")) for m in definition["models"]]
            if self.base and self.base not in [s[0] for s in sources]:
                sources.append((self.base, 0, None))
            layers = self.case.model(sources[0][0]).config.get(module.count, 0) if module.count else 0
            return [Piece(sources, layers, self.base, outer)]
        pieces = []
        for piece in definition["slices"]:
            sources = [(reference(s["model"]), s["layer_range"][0], s.get("parameters")) for s in piece["sources"]]
            low, high = piece["sources"][0]["layer_range"]
            base = reference(piece["base_model"]) if "base_model" in piece else self.base
            pieces.append(Piece(sources, high - low, base, [piece.get("parameters"), *outer]))
        return pieces

    def config(self):
        counts = {m.count: sum(p.layers for p in self.pieces[m.name]) for m in self.modules if m.count}
        size = {"vocab_size": self.vocabulary.rows} if self.vocabulary else {}
        return {**self.donor.config, **counts, **size}

    def outputs(self):
        """(name, piece, each source's name for it, depth) of every tensor of the output."""
        for module in self.modules:
            pieces = self.pieces[module.name]
            names = self.names(pieces[0], module), self.names(pieces[-1], module)
            for name in names[0]["pre"]:
                yield name, pieces[0], [name] * len(pieces[0].sources), 0.0
            number = 0
            for piece in pieces:
                for i in range(piece.layers):
                    depth = i / (piece.layers - 1) if piece.layers > 1 else 1.0
                    for rest in self.names(piece, module)["layer"].get(piece.sources[0][1] + i, []):
                        inputs = [module.layer_tensor(first + i, rest) for _, first, _ in piece.sources]
                        yield module.layer_tensor(number, rest), piece, inputs, depth
                    number += 1
            for name in names[1]["post"]:
                yield name, pieces[-1], [name] * len(pieces[-1].sources), 0.0

    def names(self, piece, module):
        """The tensors that its models have, under today's names: before, by layer, and after."""
        found = {"pre": {}, "layer": {}, "post": {}}
        for model, _, _ in piece.sources:
            checkpoint = self.case.model(model)
            old = checkpoint.config["model_type"] == "gpt2"
            for name in checkpoint.tensors:
                if old and not name.startswith(("transformer.", "lm_head.")):
                    name = f"transformer.{name}"
                if name.startswith(module.owns):
                    where, number, rest = module.place(name)
                    slot = found[where] if number is None else found[where].setdefault(number, {})
                    slot[rest] = None
        return found

    def checkpoint(self):
        """The whole output, as another document reads it."""
        tensors = {}
        for name, piece, inputs, depth in self.outputs():
            dtype, values = self.tensor(name, piece, inputs, depth)
            tensors[name] = dtype, rounded(values, dtype)
        return Checkpoint(self.config(), tensors, self.donor.vocabulary, self.donor.added)

    def tensor(self, output, piece, inputs, depth):
        """(dtype, values) of a tensor of the output."""
        gathered = {}
        for (model, _, _), name in zip(piece.sources, inputs):
            dtype, values = find(self.case.model(model), name) or (None, None)
            if dtype == "I64":
                return dtype, values
            if dtype is None:
                continue
            gathered[model] = (self.dtype, rounded(values, self.dtype)) if self.dtype else (dtype, values)
        dtype = widest([d for d, _ in gathered.values()])
        tensors = {model: values for model, (_, values) in gathered.items()}
        if self.vocabulary and output in VOCABULARY_TENSORS:
            tensors = self.vocabulary.aligned(tensors, piece.base)
        values = self.merged(output, piece, dict(zip(tensors, inputs)), tensors, depth)
        # A result has the dtype of the inputs before it has out_dtype.
        return self.out_dtype or dtype, rounded(values, dtype) if dtype != "F32" else values

    def merged(self, output, piece, inputs, tensors, depth):
        where = f"{self.case.name} {output}"
        shared = lambda p: first_value(piece.scopes, self.method, p, output, depth)

        def own(parameter, with_base=False):
            values = []
            for model in tensors:
                if with_base or model != piece.base:
                    scopes = [p for m, _, p in piece.sources if m == model] + piece.scopes
                    values.append(first_value(scopes, self.method, parameter, inputs[model], depth))
            return values

        everything = list(tensors.values())
        others = [t for model, t in tensors.items() if model != piece.base]
        base = tensors.get(piece.base)
        match self.method:
            case "linear":
                return formulas.linear(everything, own("weight", True), shared("normalize"))
            case "passthrough":
                scale = own("scale", True)[0]
                return everything[0] if scale is None else everything[0] * scale
            case "slerp":
                return formulas.slerp(shared("t"), base, others[0], where)
            case "nuslerp":
                flags = shared("nuslerp_flatten"), shared("nuslerp_row_wise")
                return formulas.nuslerp(own("weight"), *others, base, *flags)
            case "multislerp":
                flags = shared("normalize_weights"), shared("eps")
                return formulas.multislerp(others, own("weight"), base, *flags)
            case "karcher":
                return formulas.karcher(everything, int(shared("max_iter")), shared("tol"), where)
            case "model_stock":
                return formulas.model_stock(base, others, shared("filter_wise"))
            case "nearswap":
                return formulas.nearswap(shared("t"), base, others[0])
            case "arcee_fusion":
                return formulas.arcee_fusion(base, others[0], where)
            case "sce":
                return formulas.sce(base, others, shared("select_topk"), where)
            case "ram":
                return formulas.ram(base, others, shared("epsilon"), where)
            case "ramplus_tl":
                return formulas.ram(base, others, shared("epsilon"), where, shared("r"), shared("alpha"))
        assert self.method in METHODS_OF_DELTAS, self.method
        if not others:
            return base
        models = [model for model in tensors if model != piece.base]
        deltas = [t - base for t in others]
        if self.method != "task_arithmetic":
            masks = [self.mask(m, d, *v, inputs[m], where) for m, d, *v in zip(models, deltas, own("density"), own("gamma"))]
            rescale = formulas.rescaled if shared("rescale") else lambda delta, mask: delta * mask
            deltas = [rescale(d, m) for d, m in zip(deltas, masks)]
        flags = self.method in ELECTING, shared("normalize"), shared("lambda")
        return base + formulas.combine(deltas, own("weight"), *flags, where)

    def mask(self, model, delta, density, gamma, name, where):
        if density <= 0:
            return np.zeros_like(delta)
        if self.case.masks is not None:
            return self.case.masks[f"{Path(model).name}/{name}"]
        if self.method.startswith("breadcrumbs"):
            return formulas.breadcrumbs(delta, density, gamma, where)
        return formulas.largest(delta, density, where)


class Case:
    """A folder of cases/."""

    def __init__(self, folder):
        self.name, self.folder = folder.name, folder
        self.documents = list(yaml.safe_load_all((folder / "recipe.yaml").read_text()))
        self.stages = {d["name"]: d for d in self.documents if "name" in d}
        masks = folder / "masks.safetensors"
        self.masks = {n: a for n, (_, a) in read_safetensors(masks).items()} if masks.exists() else None
        self.cache = {}
        self.final = Merge(self, next((d for d in self.documents if "name" not in d), self.documents[-1]))

    def model(self, text):
        if text not in self.cache:
            path, _, adapter = text.partition("+")
            path = path.partition("@")[0]
            if path in self.stages:
                model = Merge(self, self.stages[path]).checkpoint()
            else:
                model = read_checkpoint((self.folder / path).resolve())
            self.cache[text] = with_adapter(model, (self.folder / adapter).resolve()) if adapter else model
        return self.cache[text]
